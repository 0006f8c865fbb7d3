# Gate 2: may this principal submit this step on this thread?
#
# Input:  principal, machine, thread (its token), step, size (small | medium | large | oversize),
#         rate (normal | over). Never the payload.
# Data:   grants, a list. Each names the principals, machines, threads and steps it covers (a name, a prefix followed
#         by "*", or "*") and the sizes and rates it allows.
# Answer: decision, with
#         allow       true when one grant meets every condition; whatever is undefined is denied
#         reasons     the conditions that no grant of the principal meets, or "together" when each is met by some
#                     grant of it but all of them by none; empty when allowed
#         any_thread  true when the answer is the same on every thread, so that it may be remembered without it
package relmachine.steps

default decision := {"allow": false, "reasons": ["undecided"], "any_thread": false}

decision := {"allow": true, "reasons": [], "any_thread": true} if {
	some grant in data.grants
	"*" in grant.threads
	meets_all_but_thread(grant)
} else := {"allow": true, "reasons": [], "any_thread": false} if {
	some grant in data.grants
	covers(grant.threads, input.thread)
	meets_all_but_thread(grant)
} else := {"allow": false, "reasons": ["principal"], "any_thread": true} if {
	count(own) == 0
} else := {"allow": false, "reasons": ["together"], "any_thread": false} if {
	count(unmet) == 0
} else := {"allow": false, "reasons": unmet, "any_thread": false}

meets_all_but_thread(grant) if {
	covers(grant.principals, input.principal)
	covers(grant.machines, input.machine)
	covers(grant.steps, input.step)
	input.size in grant.sizes
	input.rate in grant.rates
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

# The grants of this principal, by their place in the list.
own contains place if {
	some place, grant in data.grants
	covers(grant.principals, input.principal)
}

unmet := [condition |
	some condition in ["machine", "thread", "step", "size", "rate"]
	not condition in met
]

met contains "machine" if {
	some place in own
	covers(data.grants[place].machines, input.machine)
}

met contains "thread" if {
	some place in own
	covers(data.grants[place].threads, input.thread)
}

met contains "step" if {
	some place in own
	covers(data.grants[place].steps, input.step)
}

met contains "size" if {
	some place in own
	input.size in data.grants[place].sizes
}

met contains "rate" if {
	some place in own
	input.rate in data.grants[place].rates
}
