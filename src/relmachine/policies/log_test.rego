# Unit tests of log.rego: each rule named test_* must come out true. `opa test` runs them too.
package system.log_test

alice := "sha256:2bd806c97f0e00af1a1fc3328fa763a9269723c8db8fac4f93af71db186d6e90"

bob := "sha256:81b637d8fcd2c6da6359e6963113a1170de795e4b725b84d1e0b4cfd9ec58ce9"

asked(principal) := {"principal": principal, "thread": "case-1", "step": "t02"}

masked(asking) := changes if {
	changes := data.system.log.mask with input.input as asking
}

test_principals_of_a_batch_are_digests if {
	masked({"questions": [asked("alice"), asked("bob"), asked("alice")]}) == {{
		"op": "upsert",
		"path": "/input/questions",
		"value": [asked(alice), asked(bob), asked(alice)],
	}}
}

test_the_principal_of_one_question_is_a_digest if {
	masked(asked("alice")) == {{"op": "upsert", "path": "/input/principal", "value": alice}}
}

test_a_principal_that_is_no_text_is_masked if {
	masked({"principal": ["alice"]}) == {{"op": "upsert", "path": "/input/principal", "value": "masked"}}
}

test_questions_that_are_no_list_are_masked if {
	masked({"questions": "alice"}) == {{"op": "upsert", "path": "/input/questions", "value": []}}
}

test_nothing_asked_nothing_masked if masked({}) == set()
