package kernels

func attentionRows() []Row {
	q := Port{Name: "q", Type: Act, Dims: "BTHD", Layout: 2}
	k := Port{Name: "k", Type: Act, Dims: "BSKD", Layout: 2}
	v := Port{Name: "v", Type: Act, Dims: "BSKD", Layout: 2}
	docs := Port{Name: "documents", Type: Index, Dims: "2BT"}
	pairs := func(d Dims) int64 {
		return int64(d.Get('B')) * int64(d.Get('H')) * int64(d.Get('T')) * int64(d.Get('S'))
	}
	return []Row{{
		Op: Attention, Name: "attention",
		Doc: `o = softmax(s) v over the visible keys, s = cap(Scale q k), lse = log sum exp s;
query t at row r (t, or rows[b, t]) sees keys max(first, r-Window+1) <= j <= r with first = documents[0, b, t];
head h reads key head h / (H/K). A query that sees nothing gives o = 0, lse = -Inf`,
		In: []Port{q, k, v, docs, {Name: "rows", Type: Index, Dims: "BT", Opt: WithRows}},
		Out: []Port{
			{Name: "o", Type: Act, Dims: "BTHD", Layout: 2},
			{Name: "lse", Type: Sums, Dims: "BHT"},
		},
		FLOPs: func(_ Instr, d Dims) int64 { return 4 * pairs(d) * int64(d.Get('D')) },
		C:     2, Terms: func(_ Instr, d Dims) int { return d.Get('S') + d.Get('D') },
		Check: checkAttention, Plain: plainAttention,
	}, {
		Op: AttentionBwd, Name: "attention_bwd",
		Doc: `p = exp(s - lse), dp = do v, ds = p * (dp - sum_d do o), through the cap;
dq = Scale ds k, dk = Scale ds q, dv = p do, summed over the heads of a key head. T = S`,
		In: []Port{q, k, v, docs,
			{Name: "o", Type: Act, Dims: "BTHD", Layout: 2},
			{Name: "lse", Type: Sums, Dims: "BHT"},
			{Name: "do", Type: Act, Dims: "BTHD", Layout: 2},
		},
		Out: []Port{
			{Name: "dq", Type: Act, Dims: "BTHD", Layout: 2},
			{Name: "dk", Type: Act, Dims: "BSKD", Layout: 2},
			{Name: "dv", Type: Act, Dims: "BSKD", Layout: 2},
		},
		FLOPs: func(_ Instr, d Dims) int64 { return 10 * pairs(d) * int64(d.Get('D')) },
		C:     2, Terms: func(_ Instr, d Dims) int { return d.Get('S')*d.Get('H')/d.Get('K') + d.Get('D') },
		Check: checkAttention, Plain: plainAttentionBwd,
	}, {
		Op: Softmax, Name: "softmax", Light: true,
		Doc: `p = softmax of cap(Scale x) over the last axis, restricted to the keys that Attention's documents and rows show;
without documents every key is visible. A row that sees nothing gives p = 0, lse = -Inf`,
		In: []Port{
			{Name: "x", Type: Act, Dims: "BHTS"},
			{Name: "documents", Type: Index, Dims: "2BT", Opt: WithDocuments},
			{Name: "rows", Type: Index, Dims: "BT", Opt: WithRows},
		},
		Out: []Port{
			{Name: "p", Type: Act, Dims: "BHTS"},
			{Name: "lse", Type: Sums, Dims: "BHT"},
		},
		Alias: []Alias{{"p", "x"}},
		FLOPs: perElement(5), C: 2, Terms: dim('S'), Check: checkSoftmax,
	}, {
		Op: SoftmaxBwd, Name: "softmax_bwd",
		Doc: "dx = Scale * cap'(Scale x) * p * (dp - sum over keys of p dp)",
		In: []Port{
			{Name: "x", Type: Act, Dims: "BHTS"},
			{Name: "p", Type: Act, Dims: "BHTS"},
			{Name: "dp", Type: Act, Dims: "BHTS"},
		},
		Out:   []Port{{Name: "dx", Type: Act, Dims: "BHTS"}},
		Alias: []Alias{{"dx", "dp"}},
		FLOPs: perElement(6), C: 2, Terms: dim('S'), Check: checkSoftmax,
	}}
}

func lossRows() []Row {
	targets := Port{Name: "targets", Type: Index, Dims: "N"}
	nvc := func(k int64) func(Instr, Dims) int64 {
		return func(_ Instr, d Dims) int64 {
			return k * int64(d.Get('N')) * int64(d.Get('V')) * int64(d.Get('C'))
		}
	}
	return []Row{{
		Op: LinearCE, Name: "linear_ce",
		Doc: `z = cap(Scale h head^T); lse = log sum exp z; loss[n] = lse[n] - z[n, targets[n]], 0 where targets[n] is outside [0, V).
Never holds an (N, V) tensor`,
		In: []Port{
			{Name: "h", Type: Act, Dims: "NC"},
			{Name: "head", Type: Weight, Dims: "VC"},
			targets,
		},
		Out: []Port{
			{Name: "loss", Type: Sums, Dims: "N"},
			{Name: "lse", Type: Sums, Dims: "N"},
		},
		FLOPs: nvc(2), C: 2, Terms: func(_ Instr, d Dims) int { return d.Get('C') + d.Get('V') },
		Check: checkLoss, Plain: plainLinearCE,
	}, {
		Op: LinearCEGrad, Name: "linear_ce_grad",
		Doc: `LinearCE and its gradients, times scale[n], in one pass: dz = scale[n] * Scale * cap'(..) * (softmax(z) - onehot(targets[n])), 0 for ignored targets;
dh = dz head; dhead = dz^T h + Beta dhead`,
		In: []Port{
			{Name: "h", Type: Act, Dims: "NC"},
			{Name: "head", Type: Weight, Dims: "VC"},
			targets,
			{Name: "scale", Type: Sums, Dims: "N", Layout: Strided},
		},
		Out: []Port{
			{Name: "loss", Type: Sums, Dims: "N"},
			{Name: "dh", Type: Act, Dims: "NC"},
			{Name: "dhead", Type: Sums, Dims: "VC", Opt: WithDW, Keep: IfBeta},
		},
		FLOPs: func(in Instr, d Dims) int64 {
			if in.Attr.Opt&WithDW != 0 {
				return nvc(6)(in, d)
			}
			return nvc(4)(in, d)
		},
		C: 2, Terms: func(_ Instr, d Dims) int { return d.Get('C') + d.Get('V') + d.Get('N') },
		Check: checkLoss, Plain: plainLinearCEGrad,
	}, {
		Op: CrossEntropy, Name: "cross_entropy",
		Doc: "z = cap(Scale logits); lse and loss as LinearCE",
		In:  []Port{{Name: "logits", Type: Act, Dims: "NV"}, targets},
		Out: []Port{
			{Name: "loss", Type: Sums, Dims: "N"},
			{Name: "lse", Type: Sums, Dims: "N"},
		},
		FLOPs: func(in Instr, _ Dims) int64 { return 4 * int64(in.In[0].Len()) },
		C:     2, Terms: dim('V'), Check: checkLoss,
	}, {
		Op: CrossEntropyBwd, Name: "cross_entropy_bwd",
		Doc: "dlogits = dloss[n] * Scale * cap'(..) * (exp(z - lse) - onehot(targets[n])), 0 for ignored targets",
		In: []Port{
			{Name: "logits", Type: Act, Dims: "NV"},
			targets,
			{Name: "lse", Type: Sums, Dims: "N"},
			{Name: "dloss", Type: Sums, Dims: "N", Layout: Strided},
		},
		Out:   []Port{{Name: "dlogits", Type: Act, Dims: "NV"}},
		Alias: []Alias{{"dlogits", "logits"}},
		FLOPs: func(in Instr, _ Dims) int64 { return 4 * int64(in.In[0].Len()) },
		C:     2, Terms: one, Check: checkLoss,
	}}
}

func optimRows() []Row {
	hyper := Port{Name: "hyper", Type: Sums, Dims: "8"}
	return []Row{{
		Op: SumSq, Name: "sum_sq", Doc: "s = sum of x^2 + Beta s, in a fixed order",
		In:    []Port{{Name: "x", Type: Sums, Dims: "M"}},
		Out:   []Port{{Name: "s", Type: Sums, Dims: "1", Keep: IfBeta}},
		FLOPs: func(in Instr, _ Dims) int64 { return 2 * int64(in.In[0].Len()) },
		C:     2, Terms: dim('M'),
	}, {
		Op: Advance, Name: "advance",
		Doc: `norm = sqrt(sumsq). When loss and norm are finite: step += 1, bc = Beta bc + (1 - Beta) for both moments,
clip = min(1, maxnorm / (norm + 1e-6)) or 1 when maxnorm is 0, apply = 1; else skipped += 1, apply = 0. Norm and loss are stored in any case`,
		In: []Port{
			{Name: "loss", Type: Sums, Dims: "1"},
			{Name: "sumsq", Type: Sums, Dims: "1"},
			hyper,
		},
		Out:   []Port{{Name: "state", Type: Sums, Dims: "8", Keep: Update}},
		FLOPs: perElement(2), C: 4, Terms: one, Check: checkOptim,
	}, {
		Op: AdamW, Name: "adamw",
		Doc: `When state's apply is 1: g = clip * grad; m = Beta1 m + (1 - Beta1) g; v = Beta2 v + (1 - Beta2) g^2;
w = w (1 - lr Decay) - lr / bc1 * m / (sqrt(v / bc2) + Eps) (Loshchilov and Hutter 2019, as in PyTorch); store = w, rounded to nearest even. Else nothing is written`,
		In: []Port{
			{Name: "grad", Type: Sums, Dims: "M"},
			hyper,
			{Name: "state", Type: Sums, Dims: "8"},
		},
		Out: []Port{
			{Name: "w", Type: Sums, Dims: "M", Keep: Update},
			{Name: "m", Type: Sums, Dims: "M", Keep: Update},
			{Name: "v", Type: Sums, Dims: "M", Keep: Update},
			{Name: "store", Type: AnyReal, Dims: "M", Opt: WithStore, Keep: Update},
		},
		FLOPs: perElement(14), C: 4, Terms: one, Check: checkOptim,
	}}
}
