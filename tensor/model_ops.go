package tensor

import "graft/kernels"

// Sorted describes tokens sorted by id, which the gradient of Embed needs: it
// sums each table row in a fixed order. Order (N) lists token positions by
// ascending id, stably; Starts (N+1) holds where each run of equal ids begins
// in Order, then N.
type Sorted struct{ Order, Starts *Tensor }

// Embed returns rows of a table (V, C) for ids (N), as (N, C), stored in the
// table's type. sorted may be zero when the table takes no gradient.
func (g *Graph) Embed(ids, table *Tensor, sorted Sorted) *Tensor {
	if !g.ready("embed", ids, table) {
		return g.none()
	}
	return g.EmbedAs(g.dtype(table), ids, table, sorted)
}

// EmbedAs is Embed with rows stored as dt, so that the table's gradient is not
// rounded to the table's type on the way.
func (g *Graph) EmbedAs(dt kernels.DType, ids, table *Tensor, sorted Sorted) *Tensor {
	if !g.ready("embed", ids, table) {
		return g.none()
	}
	y := g.temp(kernels.Embed, dt, []int{ids.Len(), table.Dim(-1)})
	g.emit(kernels.Embed, kernels.Attr{}, []*Tensor{ids, table}, []*Tensor{y}, func(b *backward, n *node) {
		if sorted.Order == nil || sorted.Starts == nil {
			b.g.fail("embed", "the gradient of the table needs Sorted")
			return
		}
		dst := b.accumulate(n.in[1])
		b.g.emit(kernels.EmbedBwd, kernels.Attr{}, []*Tensor{b.of(n.out[0]), n.in[0], sorted.Order, sorted.Starts}, []*Tensor{dst.to}, nil)
		dst.done()
	})
	return y
}

// RMSNorm returns x * w / sqrt(mean(x^2) + eps), row by row of x (N, C); with
// PlusOne times 1 + w.
func (g *Graph) RMSNorm(x, w *Tensor, eps float64, flags ...Flag) *Tensor {
	y, _ := g.norm(x, nil, w, eps, flags)
	return y
}

// AddRMSNorm returns RMSNorm(x + residual) and x + residual.
func (g *Graph) AddRMSNorm(x, residual, w *Tensor, eps float64, flags ...Flag) (y, sum *Tensor) {
	if !g.ready("rms norm", residual) {
		return g.none(), g.none()
	}
	return g.norm(x, residual, w, eps, flags)
}

func (g *Graph) norm(x, residual, w *Tensor, eps float64, flags []Flag) (y, sum *Tensor) {
	if !g.ready("rms norm", x, w) {
		return g.none(), g.none()
	}
	if len(x.view.Shape) != 2 {
		return g.fail("rms norm", "x has shape %v, want (N, C)", x.view.Shape), g.none()
	}
	dt, shape := g.dtype(x), x.view.Shape
	at := kernels.Attr{Eps: eps, PlusOne: has(flags, PlusOne)}
	y = g.temp(kernels.RMSNorm, dt, shape)
	in, out := []*Tensor{x, w}, []*Tensor{y, g.temp(kernels.RMSNorm, kernels.F32, shape[:1])}
	if residual != nil {
		sum = g.temp(kernels.RMSNorm, dt, shape)
		in, out, at.Opt = append(in, residual), append(out, sum), kernels.WithResidual
	}
	g.emit(kernels.RMSNorm, at, in, out, normBack)
	return y, sum
}

func normBack(b *backward, n *node) {
	x, w, y, rstd := n.in[0], n.in[1], n.out[0], n.out[1]
	sum, dsum := x, (*Tensor)(nil)
	if len(n.out) == 3 {
		sum = n.out[2]
		dsum = b.of(sum)
	}
	dx := dsum
	if dy := b.of(y); dy != nil {
		at := kernels.Attr{PlusOne: n.instr.Attr.PlusOne}
		in, out := []*Tensor{sum, w, rstd, dy}, []*Tensor{b.g.temp(kernels.RMSNormBwd, x.DType(), x.view.Shape)}
		if dsum != nil {
			in, at.Opt = append(in, dsum), at.Opt|kernels.WithSum
		}
		dx = out[0]
		if b.needs[w] {
			dst := b.accumulate(w)
			at.Opt, at.Beta = at.Opt|kernels.WithDW, 1
			b.g.emit(kernels.RMSNormBwd, at, in, append(out, dst.to), nil)
			dst.done()
		} else {
			b.g.emit(kernels.RMSNormBwd, at, in, out, nil)
		}
	}
	b.add(x, dx)
	if len(n.in) == 3 {
		b.add(n.in[2], dx)
	}
}

// RoPE rotates pairs (r, r + R) of each head of x (N, H, D) by
// positions[n] * freqs[r], times scale (Su et al. 2021, in the half-split
// layout of Llama checkpoints). freqs is F32 (R), R <= D/2; axes from 2R on are
// left alone.
func (g *Graph) RoPE(x, positions, freqs *Tensor, scale float32) *Tensor {
	return g.rope(x, positions, freqs, scale, 1)
}

func (g *Graph) rope(x, positions, freqs *Tensor, scale, sign float32) *Tensor {
	if !g.ready("rope", x, positions, freqs) {
		return g.none()
	}
	y := g.temp(kernels.RoPE, g.dtype(x), x.view.Shape)
	at := kernels.Attr{Sign: sign, Scale: scale}
	g.emit(kernels.RoPE, at, []*Tensor{x, positions, freqs}, []*Tensor{y}, func(b *backward, n *node) {
		a := n.instr.Attr
		b.add(n.in[0], b.g.rope(b.of(n.out[0]), n.in[1], n.in[2], a.Scale, -a.Sign))
	})
	return y
}

// GLU returns act(gate) * up for gate and up (N, F) (Shazeer 2020).
func (g *Graph) GLU(gate, up *Tensor, act kernels.Activation) *Tensor {
	if !g.ready("glu", gate, up) {
		return g.none()
	}
	y := g.temp(kernels.GLU, g.dtype(gate), gate.view.Shape)
	g.emit(kernels.GLU, kernels.Attr{Act: act}, []*Tensor{gate, up}, []*Tensor{y}, func(b *backward, n *node) {
		gate, up := n.in[0], n.in[1]
		dgate := b.g.temp(kernels.GLUBwd, gate.DType(), gate.view.Shape)
		dup := b.g.temp(kernels.GLUBwd, up.DType(), up.view.Shape)
		b.g.emit(kernels.GLUBwd, kernels.Attr{Act: n.instr.Attr.Act}, []*Tensor{gate, up, b.of(n.out[0])}, []*Tensor{dgate, dup}, nil)
		b.add(gate, dgate)
		b.add(up, dup)
	})
	return y
}

// Visible says which keys a query sees. Documents is I32 (2, B, T): the first
// and one past the last row of each query's document. Rows, I32 (B, T), gives
// the absolute row of each query when queries and keys differ in number, as
// with a key/value cache; nil means row t. Window counts the keys a query sees,
// itself included; 0 is all.
type Visible struct {
	Documents, Rows *Tensor
	Window          int
}

// Attention returns softmax(cap(scale q k^T)) v over the visible keys, as
// (B, T, H, D), for q (B, T, H, D), k and v (B, S, K, D). Head h reads key head
// h / (H/K). softCap c > 0 maps a score s to c tanh(s / c). No (T, S) tensor is
// ever stored (Dao et al. 2022). With Rows it has no gradient.
func (g *Graph) Attention(q, k, v *Tensor, vis Visible, scale, softCap float32) *Tensor {
	in := []*Tensor{q, k, v, vis.Documents}
	at := kernels.Attr{Scale: scale, SoftCap: softCap, Window: vis.Window}
	back := vjp(attentionBack)
	if vis.Rows != nil {
		in, at.Opt, back = append(in, vis.Rows), kernels.WithRows, nil
	}
	if !g.ready("attention", in...) {
		return g.none()
	}
	if len(q.view.Shape) != 4 {
		return g.fail("attention", "q has shape %v, want (B, T, H, D)", q.view.Shape)
	}
	s := q.view.Shape
	o := g.temp(kernels.Attention, g.dtype(q), s)
	lse := g.temp(kernels.Attention, kernels.F32, []int{s[0], s[2], s[1]})
	g.emit(kernels.Attention, at, in, []*Tensor{o, lse}, back)
	return o
}

func attentionBack(b *backward, n *node) {
	at := n.instr.Attr
	in := append(append([]*Tensor{}, n.in...), n.out[0], n.out[1], b.of(n.out[0]))
	var out []*Tensor
	for _, x := range n.in[:3] {
		out = append(out, b.g.temp(kernels.AttentionBwd, x.DType(), x.view.Shape))
	}
	b.g.emit(kernels.AttentionBwd, kernels.Attr{Scale: at.Scale, SoftCap: at.SoftCap, Window: at.Window}, in, out, nil)
	for i, d := range out {
		b.add(n.in[i], d)
	}
}

// Softmax returns softmax(cap(scale x)) over the last axis of x (B, H, T, S).
// With vis.Documents nil every key is visible.
func (g *Graph) Softmax(x *Tensor, vis Visible, scale, softCap float32) *Tensor {
	in := []*Tensor{x}
	at := kernels.Attr{Scale: scale, SoftCap: softCap, Window: vis.Window}
	if vis.Documents != nil {
		in, at.Opt = append(in, vis.Documents), kernels.WithDocuments
	}
	if vis.Rows != nil {
		in, at.Opt = append(in, vis.Rows), at.Opt|kernels.WithRows
	}
	if !g.ready("softmax", in...) {
		return g.none()
	}
	if len(x.view.Shape) != 4 {
		return g.fail("softmax", "x has shape %v, want (B, H, T, S)", x.view.Shape)
	}
	in[0] = g.Dense(x)
	p := g.temp(kernels.Softmax, g.dtype(x), x.view.Shape)
	lse := g.temp(kernels.Softmax, kernels.F32, x.view.Shape[:3])
	g.emit(kernels.Softmax, at, in, []*Tensor{p, lse}, func(b *backward, n *node) {
		x, a := n.in[0], n.instr.Attr
		dx := b.g.temp(kernels.SoftmaxBwd, x.DType(), x.view.Shape)
		b.g.emit(kernels.SoftmaxBwd, kernels.Attr{Scale: a.Scale, SoftCap: a.SoftCap}, []*Tensor{x, n.out[0], b.of(n.out[0])}, []*Tensor{dx}, nil)
		b.add(x, dx)
	})
	return p
}

// LinearCE returns the cross-entropy (N), in nats, of the logits
// cap(scale h head^T) against targets (N), for h (N, C) and head (V, C), without
// storing logits. A target outside [0, V) gives loss 0 and no gradient.
func (g *Graph) LinearCE(h, head, targets *Tensor, scale, softCap float32) *Tensor {
	if !g.ready("linear cross-entropy", h, head, targets) {
		return g.none()
	}
	n := targets.Len()
	loss, lse := g.temp(kernels.LinearCE, kernels.F32, []int{n}), g.temp(kernels.LinearCE, kernels.F32, []int{n})
	g.emit(kernels.LinearCE, kernels.Attr{Scale: scale, SoftCap: softCap}, []*Tensor{h, head, targets}, []*Tensor{loss, lse}, linearCEBack)
	return loss
}

// CrossEntropy returns the cross-entropy (N), in nats, of logits (N, V) against
// targets (N). A target outside [0, V) gives loss 0 and no gradient.
func (g *Graph) CrossEntropy(logits, targets *Tensor) *Tensor {
	if !g.ready("cross-entropy", logits, targets) {
		return g.none()
	}
	n := targets.Len()
	loss, lse := g.temp(kernels.CrossEntropy, kernels.F32, []int{n}), g.temp(kernels.CrossEntropy, kernels.F32, []int{n})
	g.emit(kernels.CrossEntropy, kernels.Attr{Scale: 1}, []*Tensor{g.Dense(logits), targets}, []*Tensor{loss, lse}, func(b *backward, n *node) {
		z := n.in[0]
		dz := b.g.temp(kernels.CrossEntropyBwd, z.DType(), z.view.Shape)
		b.g.emit(kernels.CrossEntropyBwd, n.instr.Attr, []*Tensor{z, n.in[1], n.out[1], b.of(n.out[0])}, []*Tensor{dz}, nil)
		b.add(z, dz)
	})
	return loss
}
