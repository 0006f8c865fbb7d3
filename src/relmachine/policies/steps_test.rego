# Unit tests of steps.rego: each rule named test_* must come out true. `opa test` runs them too.
package relmachine.steps_test

clerk_grant := {
	"principals": ["alice", "team-*"],
	"machines": ["permit"],
	"threads": ["case-*"],
	"steps": ["t02", "t03"],
	"sizes": ["small", "medium"],
	"rates": ["normal"],
}

audit_grant := {
	"principals": ["alice"],
	"machines": ["*"],
	"threads": ["*"],
	"steps": ["audit"],
	"sizes": ["small", "medium", "large"],
	"rates": ["normal", "over"],
}

grants := [clerk_grant, audit_grant]

asked := {
	"principal": "alice",
	"machine": "permit",
	"thread": "case-1",
	"step": "t02",
	"size": "small",
	"rate": "normal",
}

# Member by member, because regopy cannot replace the whole input of rules that use "some ... in".
decided(question, given) := decision if {
	decision := data.relmachine.steps.decision with input.principal as question.principal
		with input.machine as question.machine
		with input.thread as question.thread
		with input.step as question.step
		with input.size as question.size
		with input.rate as question.rate
		with data.grants as given
}

answer(change) := decided(object.union(asked, change), grants)

allowed(change) if {
	decision := answer(change)
	decision.allow
}

denied_for(change) := decision.reasons if {
	decision := answer(change)
	not decision.allow
}

denied(question, given) if {
	decision := decided(question, given)
	not decision.allow
}

test_allowed if answer({}) == {"allow": true, "reasons": [], "any_thread": false}

test_prefix_of_a_principal if allowed({"principal": "team-west"})

test_a_prefix_covers_itself if allowed({"principal": "team-"})

test_prefix_is_no_substring if denied_for({"principal": "my-team-west"}) == ["principal"]

test_names_are_whole_names if denied_for({"principal": "alice2"}) == ["principal"]

test_names_are_case_sensitive if denied_for({"principal": "Alice"}) == ["principal"]

test_stranger if answer({"principal": "bob"}) == {"allow": false, "reasons": ["principal"], "any_thread": true}

test_everywhere if answer({"step": "audit", "thread": "x", "machine": "y"}) == {"allow": true, "reasons": [], "any_thread": true}

test_machine if denied_for({"principal": "team-a", "machine": "loan"}) == ["machine"]

test_thread if denied_for({"principal": "team-a", "thread": "box-1"}) == ["thread"]

test_step if denied_for({"step": "t99"}) == ["step"]

test_size if denied_for({"principal": "team-a", "size": "large"}) == ["size"]

test_oversize if denied_for({"size": "oversize"}) == ["size"]

test_rate if denied_for({"principal": "team-a", "rate": "over"}) == ["rate"]

test_several_reasons if denied_for({"principal": "team-a", "rate": "over", "step": "audit"}) == ["step", "rate"]

test_grants_do_not_add_up if denied_for({"size": "large"}) == ["together"]

test_unknown_size_class if denied_for({"size": "tiny"}) == ["size"]

test_no_grants if denied(asked, [])

test_grants_undefined if denied(asked, null)

test_null_member_of_the_input if {
	every member in ["principal", "machine", "thread", "step", "size", "rate"] {
		denied(object.union(asked, {member: null}), grants)
	}
}

test_empty_input if {
	decision := data.relmachine.steps.decision with data.grants as grants
	not decision.allow
}

test_missing_member_of_the_only_grant if {
	every member in ["principals", "machines", "threads", "steps", "sizes", "rates"] {
		denied(asked, [object.remove(clerk_grant, [member])])
	}
}

batch(questions, given) := decisions if {
	decisions := data.relmachine.steps.decisions with input.questions as questions with data.grants as given
}

changes := [
	{},
	{"principal": "bob"},
	{"step": "audit", "thread": "x", "machine": "y"},
	{"step": "t99"},
	{"principal": "team-a", "size": "large"},
	{"size": "large"},
	{"thread": null},
	{"principal": null},
]

test_a_batch_is_decided_one_by_one if {
	questions := [object.union(asked, change) | some change in changes]
	batch(questions, grants) == [decided(question, grants) | some question in questions]
}

test_a_batch_keeps_its_order if {
	decisions := batch([asked, object.union(asked, {"principal": "bob"}), asked], grants)
	[decision.allow | some decision in decisions] == [true, false, true]
}

test_whatever_is_in_a_batch_has_its_decision if {
	decisions := batch([null, asked, "alice", {}, [], 1, [asked], asked], grants)
	[decision.allow | some decision in decisions] == [false, true, false, false, false, false, false, true]
}

test_a_batch_without_grants if {
	decisions := batch([asked, asked], null)
	[decision.allow | some decision in decisions] == [false, false]
}

test_an_empty_batch if batch([], grants) == []
