package main

import (
	"fmt"
	"strings"
)

func (k Kind) goType() string { return [...]string{"float32", "uint16", "uint16", "int", "bool"}[k] }

// goDecl is the Go declaration of the assembly.
func (k *Kernel) goDecl() string {
	var ps []string
	for _, p := range k.params {
		t := p.kind.goType()
		if p.slice {
			t = "*" + t
		}
		ps = append(ps, p.name+" "+t)
	}
	s := fmt.Sprintf("func %s(%s)", k.asmName(), strings.Join(ps, ", "))
	return s + k.goResults()
}

func (k *Kernel) goResults() string {
	if len(k.results) == 0 {
		return ""
	}
	return " (" + strings.Join(k.results, ", ") + " float32)"
}

// face is the Go function around the assembly: it checks lengths, tells the
// race detector what is touched, and turns slices into addresses.
func (k *Kernel) face() string {
	var b strings.Builder
	var ps, call []string
	for _, p := range k.params {
		if p.name == "n" && k.counted() {
			call = append(call, "n")
			continue
		}
		if p.slice {
			ps = append(ps, fmt.Sprintf("%s []%s", p.name, p.kind.goType()))
			call = append(call, fmt.Sprintf("unsafe.SliceData(%s)", p.name))
		} else {
			ps = append(ps, p.name+" "+p.kind.goType())
			call = append(call, p.name)
		}
	}
	name := lower(k.name) + k.Suffix()
	fmt.Fprintf(&b, "// %s works like %sGo.\nfunc %s(%s)%s {\n", name, lower(k.name), name, strings.Join(ps, ", "), k.goResults())
	first := true
	for _, p := range k.params {
		switch {
		case !p.slice:
		case p.need != "":
			fmt.Fprintf(&b, "\t%s = %s[:%s]\n", p.name, p.name, p.need)
		case first:
			fmt.Fprintf(&b, "\tn := len(%s)\n", p.name)
			first = false
		default:
			fmt.Fprintf(&b, "\t%s = %s[:n]\n", p.name, p.name)
		}
	}
	b.WriteString("\tif raceEnabled {\n")
	for _, p := range k.params {
		if !p.slice {
			continue
		}
		rows, ld, width := "1", "0", "len("+p.name+")"
		if p.rows != "" {
			rows, ld, width = p.rows, p.ld, p.width
		}
		if !p.out || p.inout {
			fmt.Fprintf(&b, "\t\traceRead(%s, %s, %s, %s)\n", p.name, rows, ld, width)
		}
		if p.out {
			fmt.Fprintf(&b, "\t\traceWrite(%s, %s, %s, %s)\n", p.name, rows, ld, width)
		}
	}
	b.WriteString("\t}\n\t")
	if len(k.results) > 0 {
		b.WriteString("return ")
	}
	fmt.Fprintf(&b, "%s(%s)\n}\n", k.asmName(), strings.Join(call, ", "))
	return b.String()
}

// counted reports whether n is the length of the first slice and not a
// parameter of the face.
func (k *Kernel) counted() bool {
	for _, p := range k.params {
		if p.slice && p.need == "" {
			return true
		}
	}
	return false
}

// stubs is the Go file beside the assembly of one architecture.
func stubs(arch string, sets []set) string {
	var b strings.Builder
	b.WriteString(header)
	b.WriteString("package simd\n\nimport \"unsafe\"\n")
	for _, s := range sets {
		if s.tier {
			b.WriteString(s.table())
		}
		for _, k := range s.kernels {
			k.layout()
			b.WriteString("\n" + k.face())
			fmt.Fprintf(&b, "\n//go:noescape\n%s\n", k.goDecl())
		}
	}
	return b.String()
}

// table is the variable of a tier.
func (s set) table() string {
	var b strings.Builder
	isa := s.isa
	fmt.Fprintf(&b, "\n// tier%s is the tier %s.\nvar tier%s = Tier{\n\tName: %q,\n", isa.Suffix(), isa.Tier(), isa.Suffix(), isa.Tier())
	fmt.Fprintf(&b, "\tMR: %d,\n\tRows: %d,\n\tNR: %d,\n\tLanes: %d,\n\tKC: %d,\n\tNC: %d,\n\tMC: %d,\n\tWork: %d,\n", s.mr, rowsInPlace(isa), s.nr, isa.Lanes(), blockK(isa), blockN(isa), blockM, taskWork)
	fmt.Fprintf(&b, "\tDotRows: %d,\n", dotRows(isa))
	for _, k := range s.kernels {
		fmt.Fprintf(&b, "\t%s: %s%s,\n", k.name, lower(k.name), isa.Suffix())
	}
	b.WriteString("}\n")
	return b.String()
}
