package vulkan

import "graft/kernels"

func expandAttentionBwd(x *expansion) error {
	q, k, v, o, lse, grad := x.in.In[0], x.in.In[1], x.in.In[2], x.in.In[4], x.in.In[5], x.in.In[6]
	dq, dk, dv := x.in.Out[0], x.in.Out[1], x.in.Out[2]
	a, err := newAttention(x, q, k, v, grad, o, dq, dk, dv)
	if err != nil {
		return err
	}
	rows, others, vecs := a.group*a.nt, a.nb*a.nk*a.blocks, a.registers()
	byQuery, byKey := attentionTileOf(x.target, rows, others, vecs), attentionTileOf(x.target, a.nt, others, 2*vecs)
	queryTiles, err := a.tiles(rows, byQuery)
	if err != nil {
		return err
	}
	keyTiles, err := a.tiles(a.nt, byKey)
	if err != nil {
		return err
	}
	heads := a.nk * rows
	x.scratch = 8 * int64(a.nb) * int64(heads) // lse and delta of each query
	scratch := kernels.Span{Slot: kernels.Scratch, Hi: x.scratch}
	reads := append(a.docSpans(), scratch, x.span(q), x.span(k), x.span(v), x.span(grad))
	return a.batches(a.blocks, 2*heads, func(b, count int) {
		stats := place{kernels.Scratch, 8 * int64(b) * int64(heads)}
		x.add(launch{kernel: "attention_delta", spec: []uint32{x.dtype(o)},
			addrs:  []place{a.at(o, b), a.at(grad, b), a.of(lse, b, heads), stats},
			words:  append([]uint32{uint32(a.nt), uint32(a.nk * a.group), uint32(a.hd)}, strides(o, grad)...),
			groups: [3]uint32{uint32(min(ceilDiv(heads, 8), maxGroups)), uint32(count), 1},
			reads:  []kernels.Span{x.span(o), x.span(grad), x.span(lse)}, writes: []kernels.Span{scratch}})
		in := []place{a.at(q, b), a.at(k, b), a.at(v, b), a.of(a.docs, b, a.nt), a.at(grad, b), stats}
		x.add(launch{kernel: "attention_bwd_q", spec: a.spec(byQuery),
			addrs:  append(in[:len(in):len(in)], a.at(dq, b)),
			words:  a.words([]uint32{uint32(a.nt)}, q, k, v, grad, dq),
			groups: [3]uint32{queryTiles, uint32(a.nk), uint32(count * a.blocks)},
			reads:  reads, writes: []kernels.Span{x.span(dq)}})
		x.add(launch{kernel: "attention_bwd_kv", spec: a.spec(byKey),
			addrs:  append(in[:len(in):len(in)], a.at(dk, b), a.at(dv, b)),
			words:  a.words([]uint32{uint32(a.nt), uint32(a.nb * a.nt)}, q, k, v, grad, dk, dv),
			groups: [3]uint32{keyTiles, uint32(a.nk), uint32(count * a.blocks)},
			reads:  reads, writes: []kernels.Span{x.span(dk), x.span(dv)}})
	})
}
