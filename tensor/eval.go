package tensor

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"

	"graft/internal/f16"
	"graft/kernels"
)

// Values are arrays by slot name: []float32 for floating-point slots, []int32
// for I32 ones, row-major.
type Values map[string]any

// Eval compiles a graph, sets its inputs and parameters (those not in values
// are zero), runs it once and returns its outputs and parameters. It is for
// tests and examples: everything is allocated and freed again.
func Eval(be kernels.Backend, g *Graph, values Values) (Values, error) {
	p, err := g.Compile()
	if err != nil {
		return nil, err
	}
	return evalProgram(be, p, values)
}

func evalProgram(be kernels.Backend, p *kernels.Program, values Values) (Values, error) {
	p, _, err := kernels.Lower(p, be.Supports)
	if err != nil {
		return nil, err
	}
	s := NewStore(be)
	defer s.Close()
	if err := s.Declare(p); err != nil {
		return nil, err
	}
	if err := s.Alloc(); err != nil {
		return nil, err
	}
	ex, err := s.Compile(p)
	if err != nil {
		return nil, err
	}
	if err := setValues(s, ex, p, values); err != nil {
		return nil, err
	}
	if err := ex.Run(context.Background(), 1); err != nil {
		return nil, err
	}
	return getValues(s, ex, p)
}

func setValues(s *Store, ex kernels.Exec, p *kernels.Program, values Values) error {
	for name, v := range values {
		id, ok := p.Find(name)
		if !ok {
			return fmt.Errorf("tensor: eval: no slot named %q", name)
		}
		slot := p.Slots[id]
		data, err := Encode(slot, v)
		if err != nil {
			return err
		}
		switch slot.Role {
		case kernels.Input:
			copy(ex.Input(id), data)
		case kernels.Persistent:
			if err := s.Write(name, 0, data); err != nil {
				return err
			}
		default:
			return fmt.Errorf("tensor: eval: %q is %v, want an input or a parameter", name, slot.Role)
		}
	}
	return nil
}

func getValues(s *Store, ex kernels.Exec, p *kernels.Program) (Values, error) {
	out := Values{}
	for i, slot := range p.Slots {
		data := make([]byte, slot.Bytes())
		switch slot.Role {
		case kernels.Output:
			copy(data, ex.Output(kernels.SlotID(i)))
		case kernels.Persistent:
			if err := s.Read(slot.Name, 0, data); err != nil {
				return nil, err
			}
		default:
			continue
		}
		out[slot.Name] = Decode(slot.DType, data)
	}
	return out, nil
}

// Float32s is the value of a floating-point slot, nil if there is none.
func (v Values) Float32s(name string) []float32 {
	f, _ := v[name].([]float32)
	return f
}

// Encode turns []float32 or []int32 into the storage format of a slot, rounding
// to nearest even.
func Encode(slot kernels.Slot, v any) ([]byte, error) {
	bad := func(n int) error {
		return fmt.Errorf("tensor: %q is %v %v, got %T with %d elements", slot.Name, slot.DType, slot.Shape, v, n)
	}
	data := make([]byte, 0, slot.Bytes())
	switch v := v.(type) {
	case []float32:
		if len(v) != slot.Len() || !slot.DType.Float() {
			return nil, bad(len(v))
		}
		for _, x := range v {
			data = appendFloat(data, slot.DType, x)
		}
	case []int32:
		if len(v) != slot.Len() || slot.DType != kernels.I32 {
			return nil, bad(len(v))
		}
		for _, x := range v {
			data = binary.LittleEndian.AppendUint32(data, uint32(x))
		}
	default:
		return nil, bad(0)
	}
	return data, nil
}

func appendFloat(data []byte, dt kernels.DType, x float32) []byte {
	switch dt {
	case kernels.BF16:
		return binary.LittleEndian.AppendUint16(data, f16.ToBF16(x))
	case kernels.F16:
		return binary.LittleEndian.AppendUint16(data, f16.ToF16(x))
	}
	return binary.LittleEndian.AppendUint32(data, math.Float32bits(x))
}

// Decode is the inverse of Encode: []float32 for floating-point types, []int32
// for I32 and the bytes themselves for others.
func Decode(dt kernels.DType, data []byte) any {
	switch dt {
	case kernels.F32:
		out := make([]float32, len(data)/4)
		for i := range out {
			out[i] = math.Float32frombits(binary.LittleEndian.Uint32(data[4*i:]))
		}
		return out
	case kernels.BF16, kernels.F16:
		widen := f16.FromBF16
		if dt == kernels.F16 {
			widen = f16.FromF16
		}
		out := make([]float32, len(data)/2)
		for i := range out {
			out[i] = widen(binary.LittleEndian.Uint16(data[2*i:]))
		}
		return out
	case kernels.I32:
		out := make([]int32, len(data)/4)
		for i := range out {
			out[i] = int32(binary.LittleEndian.Uint32(data[4*i:]))
		}
		return out
	}
	return data
}
