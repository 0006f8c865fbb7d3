# Gate 2: may this principal submit this step on this thread?
#
# Question: principal, machine, thread (its token), step, size (small | medium | large | oversize),
#           rate (normal | over). Never the payload.
# Input:    a question, for `decision`; or questions, a list of them, for `decisions`.
# Data:     grants, a list. Each names the principals, machines, threads and steps it covers (a name, a prefix followed
#           by "*", or "*") and the sizes and rates it allows.
# Answer:   decision, or decisions in the order of the questions, each with
#           allow       true when one grant meets every condition; whatever is undefined is denied
#           reasons     the conditions that no grant of the principal meets, or "together" when each is met by some
#                       grant of it but all of them by none; empty when allowed
#           any_thread  true when the answer is the same on every thread, so that it may be remembered without it
package relmachine.steps

default decision := {"allow": false, "reasons": ["undecided"], "any_thread": false}

decision := decide(input)

# As many as there are questions, because `decide` is defined for whatever it is given.
decisions := [decide(question) | some question in input.questions]

decide(question) := judge(question, own(question))

# The grants of the question's principal.
own(question) := [grant | some grant in data.grants; covers(grant.principals, question.principal)]

judge(question, mine) := {"allow": false, "reasons": ["principal"], "any_thread": true} if {
	count(mine) == 0
} else := {"allow": true, "reasons": [], "any_thread": true} if {
	some grant in mine
	"*" in grant.threads
	meets_all_but_thread(grant, question)
} else := {"allow": true, "reasons": [], "any_thread": false} if {
	some grant in mine
	covers(grant.threads, question.thread)
	meets_all_but_thread(grant, question)
} else := {"allow": false, "reasons": reasons(question, mine), "any_thread": false}

meets_all_but_thread(grant, question) if {
	covers(grant.machines, question.machine)
	covers(grant.steps, question.step)
	question.size in grant.sizes
	question.rate in grant.rates
}

covers(patterns, name) if {
	"*" in patterns
	is_string(name)
} else if {
	name in patterns
} else if {
	some pattern in patterns
	endswith(pattern, "*")
	startswith(name, trim_suffix(pattern, "*"))
}

reasons(question, mine) := found if {
	found := unmet(question, mine)
	count(found) > 0
} else := ["together"]

unmet(question, mine) := [condition |
	some condition in ["machine", "thread", "step", "size", "rate"]
	not met(condition, question, mine)
]

met(condition, question, mine) if {
	some grant in mine
	meets(condition, grant, question)
}

meets("machine", grant, question) if covers(grant.machines, question.machine)

meets("thread", grant, question) if covers(grant.threads, question.thread)

meets("step", grant, question) if covers(grant.steps, question.step)

meets("size", grant, question) if question.size in grant.sizes

meets("rate", grant, question) if question.rate in grant.rates
