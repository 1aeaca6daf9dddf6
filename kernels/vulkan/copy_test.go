package vulkan

import (
	"bytes"
	"encoding/binary"
	"math"
	"testing"

	"graft/internal/f16"
	"graft/kernels"
)

// raw adds a persistent slot with the given bytes.
func (r *rig) raw(name string, typ kernels.DType, b []byte, shape ...int) kernels.View {
	v := r.add(name, typ, kernels.Persistent, shape...)
	r.data[v.Slot] = b
	return v
}

func (r *rig) readBytes(v kernels.View) []byte {
	r.t.Helper()
	b := make([]byte, r.prog.Slots[v.Slot].Bytes())
	if _, err := r.mem.ReadAt(b, r.bind[v.Slot].Offset); err != nil {
		r.t.Fatal(err)
	}
	return b
}

// TestConversions holds the kernels' conversions to internal/f16: all 16-bit values
// upwards, and downwards every value of the target, both neighbours of each tie, ties,
// and what overflows or vanishes.
func TestConversions(t *testing.T) {
	b := open(t)
	for _, c := range []struct {
		typ  kernels.DType
		from func(uint16) float32
		to   func(float32) uint16
	}{{kernels.BF16, f16.FromBF16, f16.ToBF16}, {kernels.F16, f16.FromF16, f16.ToF16}} {
		t.Run(c.typ.String(), func(t *testing.T) {
			var half, wide, wantHalf, wantWide []byte
			down := func(u uint32) {
				wide = binary.LittleEndian.AppendUint32(wide, u)
				wantHalf = binary.LittleEndian.AppendUint16(wantHalf, c.to(math.Float32frombits(u)))
			}
			for h := range 1 << 16 {
				x := c.from(uint16(h))
				half = binary.LittleEndian.AppendUint16(half, uint16(h))
				wantWide = binary.LittleEndian.AppendUint32(wantWide, math.Float32bits(x))
				down(math.Float32bits(x))
				tie := math.Float32bits(float32((float64(x) + float64(c.from(uint16(h+1)))) / 2))
				for _, u := range []uint32{tie - 1, tie, tie + 1} {
					down(u)
				}
			}
			for _, x := range []float32{65503, 65519.99, 65520, 70000, math.MaxFloat32, 0x1p-24, 0x1p-25, 0x1.000002p-25, 0x1p-26, 1e-40, 0} {
				down(math.Float32bits(x))
				down(math.Float32bits(-x))
			}
			r := newRig(t, b)
			x16, x32 := r.raw("half", c.typ, half, len(half)/2), r.raw("wide", kernels.F32, wide, len(wide)/4)
			y32 := r.raw("up", kernels.F32, make([]byte, len(wantWide)), len(wantWide)/4)
			y16 := r.raw("down", c.typ, make([]byte, len(wantHalf)), len(wantHalf)/2)
			r.emit(kernels.Copy, kernels.Attr{}, []kernels.View{y32}, x16)
			r.emit(kernels.Copy, kernels.Attr{}, []kernels.View{y16}, x32)
			r.run(1)
			up, dn, bad := r.readBytes(y32), r.readBytes(y16), 0
			for i := 0; i < len(up) && bad < 5; i += 4 {
				g, w := math.Float32frombits(binary.LittleEndian.Uint32(up[i:])), math.Float32frombits(binary.LittleEndian.Uint32(wantWide[i:]))
				if math.Float32bits(g) != math.Float32bits(w) && !(g != g && w != w) {
					bad++
					t.Errorf("%#04x is %v, want %v", half[i/2:i/2+2], g, w)
				}
			}
			for i := 0; i < len(dn) && bad < 5; i += 2 {
				g, w := binary.LittleEndian.Uint16(dn[i:]), binary.LittleEndian.Uint16(wantHalf[i:])
				if gf, wf := c.from(g), c.from(w); g != w && !(gf != gf && wf != wf) {
					bad++
					t.Errorf("%v becomes %#04x, want %#04x", math.Float32frombits(binary.LittleEndian.Uint32(wide[2*i:])), g, w)
				}
			}
		})
	}
}

// TestCopyStrides permutes, repeats and scatters with gaps, in four and two bytes.
func TestCopyStrides(t *testing.T) {
	b := open(t)
	for _, typ := range []kernels.DType{kernels.I32, kernels.F32, kernels.U16, kernels.BF16} {
		t.Run(typ.String(), func(t *testing.T) {
			size := typ.Size()
			shape := []int{2, 3, 1, 4, 2, 5}
			sx := []int{3, 0, 99, 7, 70, 11} // x repeats an axis
			sy := []int{480, 160, 1, 2, 80, 16}
			src, dst := make([]byte, 200*size), bytes.Repeat([]byte{0xee}, 1000*size)
			for i := range src { // NaN payloads among them: equal types are copied as bits
				src[i] = byte(i*37 + 0x7f)
			}
			r := newRig(t, b)
			x, y := r.raw("x", typ, src, 200), r.raw("y", typ, bytes.Clone(dst), 1000)
			r.emit(kernels.Copy, kernels.Attr{},
				[]kernels.View{{Slot: y.Slot, Offset: 1, Shape: shape, Stride: sy}},
				kernels.View{Slot: x.Slot, Offset: 2, Shape: shape, Stride: sx})
			r.run(1)
			n := 1
			for _, d := range shape {
				n *= d
			}
			for i := range n {
				from, to, rest := 2, 1, i
				for k := len(shape) - 1; k >= 0; k-- {
					from, to = from+rest%shape[k]*sx[k], to+rest%shape[k]*sy[k]
					rest /= shape[k]
				}
				copy(dst[to*size:(to+1)*size], src[from*size:(from+1)*size])
			}
			if !bytes.Equal(r.readBytes(y), dst) {
				t.Error("the copy differs")
			}
		})
	}
}

func TestFill(t *testing.T) {
	b := open(t)
	for _, c := range []struct {
		typ  kernels.DType
		want []byte
	}{
		{kernels.F32, []byte{0, 0, 0xa0, 0x40}},
		{kernels.BF16, []byte{0xa0, 0x40}},
		{kernels.F16, []byte{0x00, 0x45}},
		{kernels.I32, []byte{5, 0, 0, 0}},
		{kernels.U16, []byte{5, 0}},
	} {
		r := newRig(t, b)
		y := r.raw("y", c.typ, make([]byte, 1003*c.typ.Size()), 1003)
		v := kernels.Dense(y.Slot, 1, 1001)
		r.emit(kernels.Fill, kernels.Attr{Alpha: 5}, []kernels.View{v})
		r.run(1)
		zero := make([]byte, c.typ.Size())
		want := append(append(zero, bytes.Repeat(c.want, 1001)...), zero...)
		if !bytes.Equal(r.readBytes(y), want) {
			t.Errorf("%v: the filled bytes differ", c.typ)
		}
	}
}
