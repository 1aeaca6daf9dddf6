package cpu

import "graft/kernels"

// visibility tells which keys a query sees; run-time data is clamped.
type visibility struct {
	docs, rows []int32 // (2, B, T), (B, T); nil when absent
	t, s       int
	window     int
}

func (b *builder) visibility(in kernels.Instr, d kernels.Dims) (reads []operand, bind func(m *memory) visibility) {
	docs, hasDocs := b.in(in, "documents")
	rows, hasRows := b.in(in, "rows")
	if hasDocs {
		reads = append(reads, docs)
	}
	if hasRows {
		reads = append(reads, rows)
	}
	v := visibility{t: d.Get('T'), s: d.Get('S'), window: in.Attr.Window}
	return reads, func(m *memory) visibility {
		v := v
		if hasDocs {
			v.docs = m.array(docs).i
		}
		if hasRows {
			v.rows = m.array(rows).i
		}
		return v
	}
}

// span is the range of keys that query t of sequence b sees; hi <= lo is none.
func (v *visibility) span(b, t int) (lo, hi int) {
	if v.docs == nil {
		return 0, v.s
	}
	i := b*v.t + t
	row := t
	if v.rows != nil {
		row = int(v.rows[i])
	}
	lo = max(0, int(v.docs[i]))
	if v.window > 0 {
		lo = max(lo, row-v.window+1)
	}
	return lo, max(lo, min(row+1, v.s))
}
