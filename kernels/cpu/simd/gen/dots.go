package main

import "fmt"

// Products with few rows stream a matrix once. Its elements are widened in
// registers and meet every row of the other operand while they are there.

// rowsOf gives pointers to n rows of a slice, ld elements apart, which Loop
// walks along.
func rowsOf(k *Kernel, p, ld *Param, n int) []*Param {
	rows := make([]*Param, n)
	for i := range rows {
		rows[i] = k.Row(k.Reg(), p.kind)
	}
	k.LoadArg(rows[0].reg, p)
	for i, r := range rows[1:] {
		k.LoadArg(r.reg, ld)
		k.ShlImm(r.reg, map[Kind]int{F32: 2, U16: 1}[p.kind])
		k.AddG(r.reg, rows[i].reg)
	}
	return rows
}

// widened loads the next lanes of a row as F32.
func widened(k *Kernel, row *Param) V {
	v := k.Load(row)
	if row.kind == U16 {
		v = k.Shl(v, 16)
	}
	return v
}

// dots is out[i*4+j] = sum over k of x[i*ldx+k] w[j*ldw+k], for rows of x and
// four of w.
func dots(k *Kernel, rows int, kind Kind) {
	out := k.Out("out", F32).Need(fmt.Sprint(4 * rows))
	x := k.In("x", F32).Need(fmt.Sprintf("%d*ldx+n", rows-1)).Rows(fmt.Sprint(rows), "ldx", "n")
	ldx := k.Arg("ldx", Int)
	w := k.In("w", kind).Need("3*ldw+n").Rows("4", "ldw", "n")
	ldw := k.Arg("ldw", Int)
	k.Arg("n", Int)
	xs, ws := rowsOf(k, x, ldx, rows), rowsOf(k, w, ldw, 4)
	acc := sums(k, 4*rows)
	var wide [4]V
	k.Loop(2, func(int) {
		for j, r := range ws {
			wide[j] = widened(k, r)
		}
		for i, r := range xs {
			v := k.Load(r)
			for j := range ws {
				k.FMAInto(acc[4*i+j], wide[j], v)
			}
		}
	})
	to := k.Reg()
	k.LoadArg(to, out)
	for i, a := range acc {
		k.SumAt(to, 4*i, a)
	}
}

// oneDots is dots for one row of x.
func oneDots(kind Kind) func(*Kernel) { return func(k *Kernel) { dots(k, 1, kind) } }

// tileDots is dots for as many rows of x as leave registers for the sums.
func tileDots(kind Kind) func(*Kernel) {
	return func(k *Kernel) { dots(k, dotRows(k.ISA), kind) }
}

func dotRows(isa ISA) int {
	if isa.Vectors() < 32 {
		return 2
	}
	return 4
}

// axpys is y[j] += sum over r of a[r] w[r*ld+j], for eight rows of w.
func axpys(kind Kind) func(*Kernel) {
	return func(k *Kernel) {
		y := k.InOut("y", F32)
		a := k.In("a", F32).Need("8")
		w := k.In("w", kind).Need("7*ld+n").Rows("8", "ld", "n")
		ld := k.Arg("ld", Int)
		rows := rowsOf(k, w, ld, 8)
		at := k.Reg()
		k.LoadArg(at, a)
		var f [8]V
		for r := range f {
			f[r] = k.BroadcastAt(at, 4*r)
		}
		k.Loop(1, func(int) {
			s := k.Load(y)
			for r, row := range rows {
				k.FMAInto(s, widened(k, row), f[r])
			}
			k.Store(y, s)
		})
	}
}
