package flow

import (
	"fmt"
	"strings"
)

// Diagram prints the two tables as Markdown, for docs/flows.md.
func Diagram() string {
	var b strings.Builder
	b.WriteString("# The flow\n\nWritten from the tables in `internal/flow/tables.go` by `make generate`; a test fails when it is out of date.\n\n")
	b.WriteString("## Route\n\nWhere a transaction stands: the first rule that holds names the stage.\n\n| # | if | stage |\n|--:|---|---|\n")
	for i, r := range Route {
		fmt.Fprintf(&b, "| %d | %s | %s |\n", i+1, r.If.Name, r.Then)
	}
	b.WriteString("\n## Offers\n\nWhat a client may do at each stage, in wire order. What is not rendered is not admitted.\n\n| stage | remediation or action | if |\n|---|---|---|\n")
	for _, stage := range stages() {
		for _, o := range Offers[stage] {
			kind := ""
			if PlaceOf(o.Name) != InRemediation {
				kind = " (action)"
			}
			fmt.Fprintf(&b, "| %s | `%s`%s | %s |\n", stage, o.Name, kind, o.If.Name)
		}
	}
	b.WriteString("\n## Picture\n\nEvery arrow of the route, top to bottom; where several rules lead to one stage it stands once.\n\n```mermaid\nflowchart TD\n")
	for i, r := range Route {
		fmt.Fprintf(&b, "  r%d{%s?} -- yes --> %s\n", i+1, r.If.Name, node(r.Then))
		if i+1 < len(Route) {
			fmt.Fprintf(&b, "  r%d -- no --> r%d\n", i+1, i+2)
		}
	}
	b.WriteString("```\n")
	return b.String()
}

func node(s Stage) string { return strings.ReplaceAll(string(s), "-", "_") + "[" + string(s) + "]" }

// stages lists every stage once, in the order of Route.
func stages() []Stage {
	var out []Stage
	seen := map[Stage]bool{}
	for _, r := range Route {
		if !seen[r.Then] {
			seen[r.Then] = true
			out = append(out, r.Then)
		}
	}
	return out
}
