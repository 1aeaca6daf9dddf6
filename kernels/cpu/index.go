package cpu

import "graft/kernels"

// inRange holds an index that the host wrote to [0, n).
func inRange(i int32, n int) bool { return i >= 0 && int(i) < n }

func lowerGather(b *builder, in kernels.Instr, d kernels.Dims) {
	x, ids, y := b.view(in.In[0]), b.view(in.In[1]), b.view(in.Out[0])
	r, n := d.Get('R'), d.Get('N')
	row := d.Get('C') * x.dt.Size()
	per := rowsPerTask(d.Get('C'))
	b.add(step{
		kernel: "gather", reads: []operand{x, ids}, writes: []operand{y}, tasks: blocks(n, per), moves: 2 * n * row,
		bind: func(m *memory) task {
			xb, id, yb := m.array(x).b, m.array(ids).i, m.array(y).b
			return func(t int, _ []float32) {
				for i := t * per; i < min((t+1)*per, n); i++ {
					dst := yb[i*row : (i+1)*row]
					if k := id[i]; inRange(k, r) {
						copy(dst, xb[int(k)*row:(int(k)+1)*row])
					} else {
						clear(dst)
					}
				}
			}
		},
	})
}

func lowerPutRows(b *builder, in kernels.Instr, d kernels.Dims) {
	x, ids, y := b.view(in.In[0]), b.view(in.In[1]), b.view(in.Out[0])
	r, n := d.Get('R'), d.Get('N')
	row, stride := d.Get('C')*x.dt.Size(), x.stride[0]*x.dt.Size()
	b.add(step{
		// One task: equal ids are not allowed, but they must not race either.
		kernel: "put_rows", reads: []operand{x, ids, y}, writes: []operand{y}, tasks: 1, moves: 2 * n * row,
		bind: func(m *memory) task {
			xb, id, yb := m.array(x).b, m.array(ids).i, m.array(y).b
			return func(int, []float32) {
				for i := range n {
					if k := id[i]; inRange(k, r) {
						copy(yb[int(k)*row:(int(k)+1)*row], xb[i*stride:i*stride+row])
					}
				}
			}
		},
	})
}

func lowerEmbed(b *builder, in kernels.Instr, d kernels.Dims) {
	ids, table, y := b.view(in.In[0]), b.view(in.In[1]), b.view(in.Out[0])
	n, v, c := d.Get('N'), d.Get('V'), d.Get('C')
	per := rowsPerTask(c)
	b.add(step{
		kernel: "embed", reads: []operand{ids, table}, writes: []operand{y}, tasks: blocks(n, per), local: c, moves: n * c * (table.dt.Size() + y.dt.Size()),
		bind: func(m *memory) task {
			id, ta, ya := m.array(ids).i, m.array(table), m.array(y)
			return func(t int, local []float32) {
				for i := t * per; i < min((t+1)*per, n); i++ {
					row := local[:c]
					if k := id[i]; inRange(k, v) {
						row = ta.load(int(k)*c, c, local)
					} else {
						clear(row)
					}
					ya.store(i*c, row)
				}
			}
		},
	})
}

// lowerEmbedBwd gives each task some columns of the table and all tokens, so
// that no two tasks meet whatever order and starts hold.
func lowerEmbedBwd(b *builder, in kernels.Instr, d kernels.Dims) {
	dy, ids, order, starts := b.view(in.In[0]), b.view(in.In[1]), b.view(in.In[2]), b.view(in.In[3])
	dt := b.view(in.Out[0])
	n, v, c := d.Get('N'), d.Get('V'), d.Get('C')
	const width = 32
	b.add(step{
		kernel: "embed_bwd", reads: []operand{dy, ids, order, starts, dt}, writes: []operand{dt},
		tasks: blocks(c, width), local: 2 * width,
		bind: func(m *memory) task {
			dya, id, ord, st, table := m.array(dy), m.array(ids).i, m.array(order).i, m.array(starts).i, m.array(dt).f
			return func(t int, local []float32) {
				lo := t * width
				w := min(width, c-lo)
				sum, buf := local[:w], local[width:]
				for r := range n {
					from, to := max(0, int(st[r])), min(n, int(st[r+1]))
					if from >= to {
						continue
					}
					clear(sum)
					row := int32(-1)
					for _, k := range ord[from:to] {
						if !inRange(k, n) || !inRange(id[k], v) {
							continue
						}
						if row != id[k] {
							flush(table, row, c, lo, sum)
							row = id[k]
						}
						addTo(sum, dya.load(int(k)*c+lo, w, buf))
					}
					flush(table, row, c, lo, sum)
				}
			}
		},
	})
}

// flush adds a sum to the table's row, if there is one, and clears it.
func flush(table []float32, row int32, c, lo int, sum []float32) {
	if row >= 0 {
		addTo(table[int(row)*c+lo:], sum)
		clear(sum)
	}
}

// addTo is y += x for all of x.
func addTo(y, x []float32) {
	y = y[:len(x)]
	for i, v := range x {
		y[i] += v
	}
}
