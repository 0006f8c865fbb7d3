# What an OPA server leaves out of its decision log. Everything that explains a decision stays; the payload is never
# part of the input. Principals are written as digests: one name keeps one digest, so a log can be followed and a known
# name found in it, but no name be read from it. The HTTP address of who asked is that of the node.
package system.log

mask contains {"op": "upsert", "path": "/input/questions", "value": without_names(input.input.questions)}

mask contains {"op": "upsert", "path": "/input/principal", "value": pseudonym(input.input.principal)}

without_names(questions) := [object.union(question, {"principal": pseudonym(question.principal)}) |
	some question in questions
]

pseudonym(name) := concat(":", ["sha256", crypto.sha256(name)]) if {
	is_string(name)
} else := "masked"
