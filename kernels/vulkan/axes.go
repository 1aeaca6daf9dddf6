package vulkan

import (
	"math/bits"
	"slices"
)

// axis is an axis that several operands share, each with its own stride.
type axis struct {
	size   int
	stride []int
}

// collapse joins neighbouring axes that every operand walks like one, and drops those of size 1.
func collapse(shape []int, strides ...[]int) []axis {
	var axes []axis
	for i, n := range shape {
		if n == 1 {
			continue
		}
		a := axis{size: n}
		for _, s := range strides {
			a.stride = append(a.stride, s[i])
		}
		if len(axes) > 0 {
			last := &axes[len(axes)-1]
			joins := true
			for k := range a.stride {
				joins = joins && last.stride[k] == a.stride[k]*n
			}
			if joins {
				last.size *= n
				last.stride = a.stride
				continue
			}
		}
		axes = append(axes, a)
	}
	return axes
}

// pad puts axes of size 1 before axes, up to n.
func pad(axes []axis, n, operands int) []axis {
	one := axis{size: 1, stride: make([]int, operands)}
	return append(slices.Repeat([]axis{one}, max(0, n-len(axes))), axes...)
}

// count is the number of elements on the axes.
func count(axes []axis) int {
	n := 1
	for _, a := range axes {
		n *= a.size
	}
	return n
}

// reach is how far the last element of operand k lies behind its first.
func reach(axes []axis, k int) int {
	n := 0
	for _, a := range axes {
		n += (a.size - 1) * a.stride[k]
	}
	return n
}

// split calls f for parts of the axes of at most `most` axes and maxPiece elements, in
// which no operand reaches over maxPiece elements either. at is where the operands of a
// part begin.
func split(axes []axis, most int, at []int, f func(axes []axis, at []int)) {
	wide, small := -1, 0
	span := func(a axis) int { return (a.size - 1) * max(1, slices.Max(a.stride)) }
	for k := range at {
		if reach(axes, k) >= maxPiece {
			wide = 0
		}
	}
	if count(axes) > maxPiece {
		wide = 0
	}
	if wide < 0 && len(axes) <= most {
		f(axes, at)
		return
	}
	for i, a := range axes {
		if wide >= 0 && span(a) > span(axes[wide]) {
			wide = i
		}
		if a.size < axes[small].size {
			small = i
		}
	}
	cut, step := wide, 0
	if wide >= 0 {
		step = (axes[wide].size + 1) / 2
	} else {
		cut, step = small, 1
	}
	for i := 0; i < axes[cut].size; i += step {
		rest := slices.Clone(axes)
		rest[cut].size = min(step, axes[cut].size-i)
		from := slices.Clone(at)
		for k := range from {
			from[k] += i * axes[cut].stride[k]
		}
		if rest[cut].size == 1 {
			rest = slices.Delete(rest, cut, cut+1)
		}
		split(rest, most, from, f)
	}
}

// widen counts the innermost axis in units of w elements, and strides with it, except
// those of operands that repeat along that axis. ok is false where the axes do not allow
// it. Where the operands begin is the caller's to check.
func widen(axes []axis, w int, repeats []bool) (wide []axis, ok bool) {
	last := len(axes) - 1
	if last < 0 || axes[last].size%w != 0 {
		return nil, false
	}
	for i, a := range axes {
		if i == last {
			a.size /= w
		}
		a.stride = slices.Clone(a.stride)
		for k, s := range a.stride {
			switch {
			case repeats[k]:
				if i == last && s != 0 {
					return nil, false
				}
			case i == last && s == 1:
			case i == last || s%w != 0:
				return nil, false
			default:
				a.stride[k] = s / w
			}
		}
		wide = append(wide, a)
	}
	return wide, true
}

// divisor gives what the kernels' quotient needs to divide numbers below 2^31 by d.
func divisor(d int) (magic, shift uint32) {
	shift = uint32(bits.Len(uint(d - 1)))
	return uint32((uint64(1)<<shift-uint64(d))<<32/uint64(d)) + 1, shift
}

// kernelAxes is how many axes the kernels of axes.glsl walk.
const kernelAxes = 5

// axesWords is the Axes of axes.glsl, then the strides of each operand.
func axesWords(axes []axis, operands int) []uint32 {
	axes = pad(axes, kernelAxes, operands)
	var sizes, magics, strides []uint32
	var shifts uint32
	for i, a := range axes[1:] {
		magic, shift := divisor(a.size)
		sizes, magics = append(sizes, uint32(a.size)), append(magics, magic)
		shifts |= shift << (5 * i)
	}
	for k := range operands {
		for _, a := range axes {
			strides = append(strides, uint32(a.stride[k]))
		}
	}
	return slices.Concat(sizes, magics, []uint32{shifts}, strides)
}
