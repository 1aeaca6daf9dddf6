package kerneltest

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"graft/kernels"
	"graft/kernels/plan"
	"graft/kernels/ref"
)

// guard is the number of bytes between regions, all ones.
const guard = 256

// memory is one buffer that holds the slots of a program and its temporaries,
// with guards between them.
type memory struct {
	be   kernels.Backend
	buf  kernels.Buffer
	all  []byte // the buffer, or a copy of it where the CPU cannot see it
	bind map[kernels.SlotID]kernels.Region
	temp kernels.Region
}

// newMemory lays a program out on one side of the bus.
func newMemory(be kernels.Backend, where kernels.Place, p *kernels.Program, tempBytes int64) (*memory, error) {
	align := max(1, be.Caps().Align)
	m := &memory{be: be, bind: map[kernels.SlotID]kernels.Region{}}
	at := int64(0)
	place := func(n int64) kernels.Region {
		at = (at + guard + align - 1) / align * align
		r := kernels.Region{Offset: at, Size: n}
		at += n
		return r
	}
	for i, s := range p.Slots {
		if s.Role == kernels.Persistent {
			m.bind[kernels.SlotID(i)] = place(s.Bytes())
		}
	}
	m.temp = place(tempBytes)
	// Whole words, so that any backend can copy the buffer.
	buf, err := be.Alloc((at+guard+3)/4*4, where)
	if err != nil {
		return nil, err
	}
	if m.all = buf.Bytes(); m.all == nil {
		if where == kernels.Host {
			buf.Close()
			return nil, errors.New("host memory is not visible")
		}
		m.all = make([]byte, buf.Size())
	}
	m.buf = buf
	m.temp.Buffer = buf
	for i, r := range m.bind {
		r.Buffer = buf
		m.bind[i] = r
	}
	return m, nil
}

// put brings what was written to m.all to the device, get fetches it.
func (m *memory) put() error {
	if m.buf.Bytes() != nil {
		return nil
	}
	return kernels.Upload(m.be, kernels.Region{Buffer: m.buf, Size: m.buf.Size()}, m.all)
}

func (m *memory) get() error {
	if m.buf.Bytes() != nil {
		return nil
	}
	return kernels.Download(m.be, m.all, kernels.Region{Buffer: m.buf, Size: m.buf.Size()})
}

func (m *memory) slot(s kernels.SlotID) []byte { return m.region(m.bind[s]) }

func (m *memory) region(r kernels.Region) []byte {
	return m.all[r.Offset : r.Offset+r.Size]
}

// poisons are what temporaries hold before a run: NaN, then zeros, then large
// numbers. A result may not depend on them.
var poisons = [3]byte{0xff, 0x00, 0x4b}

// execute runs a case three times and returns what its slots hold afterwards.
func execute(be kernels.Backend, where kernels.Place, c *Case) ([][]byte, error) {
	pl, err := be.Plan(c.Prog)
	if err != nil {
		return nil, fmt.Errorf("plan: %w", err)
	}
	if err := checkPlan(c.Prog, pl); err != nil {
		return nil, err
	}
	m, err := newMemory(be, where, c.Prog, pl.TempBytes)
	if err != nil {
		return nil, fmt.Errorf("alloc: %w", err)
	}
	defer m.buf.Close()
	ex, err := be.Compile(c.Prog, pl, m.bind, m.temp)
	if err != nil {
		return nil, fmt.Errorf("compile: %w", err)
	}
	defer ex.Close()
	var first [][]byte
	for run, poison := range poisons {
		fillBytes(m.all, 0xff)
		fillBytes(m.region(m.temp), poison)
		for i, b := range c.Data {
			copy(m.slot(kernels.SlotID(i)), b)
		}
		before := bytes.Clone(m.all)
		if err := m.run(ex, 1); err != nil {
			return nil, err
		}
		if err := untouched(c.Prog, m, before); err != nil {
			return nil, err
		}
		var got [][]byte
		for i := range c.Prog.Slots {
			got = append(got, bytes.Clone(m.slot(kernels.SlotID(i))))
		}
		if run == 0 {
			first = got
		}
		for i := range got {
			if !bytes.Equal(got[i], first[i]) {
				return nil, fmt.Errorf("%s: run %d gives other bits than run 1", c.Prog.Slots[i].Name, run+1)
			}
		}
	}
	return first, nil
}

// run replays a program on what m.all holds.
func (m *memory) run(ex kernels.Exec, n int) error {
	if err := m.put(); err != nil {
		return fmt.Errorf("upload: %w", err)
	}
	if err := ex.Run(context.Background(), n); err != nil {
		return fmt.Errorf("run: %w", err)
	}
	if err := m.get(); err != nil {
		return fmt.Errorf("download: %w", err)
	}
	return nil
}

func fillBytes(b []byte, x byte) {
	for i := range b {
		b[i] = x
	}
}

// untouched demands that every byte is as before except the elements of
// outputs and the temporaries. It leaves before changed.
func untouched(p *kernels.Program, m *memory, before []byte) error {
	after := m.all
	for _, in := range p.Code {
		for _, v := range in.Out {
			n, at := int64(p.DType(v).Size()), m.bind[v.Slot].Offset
			if p.Slots[v.Slot].Role != kernels.Persistent {
				continue
			}
			ref.Each(v, func(_, e int) {
				lo := at + int64(e)*n
				copy(before[lo:lo+n], after[lo:lo+n])
			})
		}
	}
	copy(before[m.temp.Offset:], m.region(m.temp))
	if bytes.Equal(before, after) {
		return nil
	}
	for i := range after {
		if before[i] != after[i] {
			return fmt.Errorf("wrote outside of its outputs: %s", m.where(p, int64(i)))
		}
	}
	return nil
}

// where says what lies near a byte.
func (m *memory) where(p *kernels.Program, at int64) string {
	best, name := int64(1<<62), "a guard"
	for s, r := range m.bind {
		d := at - r.Offset
		if d >= 0 && d < r.Size {
			return fmt.Sprintf("byte %d of the %d of %s", d, r.Size, p.Slots[s].Name)
		}
		if d -= r.Size; d >= 0 && d < best {
			best, name = d, fmt.Sprintf("byte %d behind %s", d, p.Slots[s].Name)
		}
	}
	return name
}

// checkPlan holds a plan to the interface: groups without conflicts, and
// dispatches that declare what the instructions read and write.
func checkPlan(p *kernels.Program, pl kernels.Plan) error {
	if err := plan.Check(p, pl.Dispatches, pl.Groups, pl.Offsets, pl.TempBytes); err != nil {
		return err
	}
	for i, in := range p.Code {
		var reads, writes []kernels.Span
		parts := 0
		for _, d := range pl.Dispatches {
			if d.Instr == i {
				if d.Part != parts {
					return fmt.Errorf("plan: dispatch %d of %v says it is part %d", parts, in.Op, d.Part)
				}
				parts++
				reads, writes = append(reads, d.Reads...), append(writes, d.Writes...)
			}
		}
		for j, v := range in.In {
			if !covered(span(p, v), reads) {
				return fmt.Errorf("plan: %v does not declare that it reads %s", in.Op, kernels.InPorts(in)[j].Name)
			}
		}
		for o, v := range in.Out {
			name := kernels.OutPorts(in)[o].Name
			if !covered(span(p, v), writes) {
				return fmt.Errorf("plan: %v does not declare that it writes %s", in.Op, name)
			}
			if kernels.Reads(in, o) && !covered(span(p, v), reads) {
				return fmt.Errorf("plan: %v does not declare that it reads the old %s", in.Op, name)
			}
		}
	}
	return nil
}

// span is the range of bytes that a view spans.
func span(p *kernels.Program, v kernels.View) kernels.Span {
	lo, hi := v.Extent()
	n := int64(p.DType(v).Size())
	return kernels.Span{Slot: v.Slot, Lo: int64(lo) * n, Hi: int64(hi) * n}
}

// covered reports whether both ends of a span lie in declared ones and no
// declared one stops short between: gaps are allowed, since the rows of a
// strided view may be declared one by one.
func covered(s kernels.Span, by []kernels.Span) bool {
	lo, hi := false, false
	for _, b := range by {
		if b.Slot == s.Slot {
			lo = lo || b.Lo <= s.Lo && s.Lo < b.Hi
			hi = hi || b.Lo < s.Hi && s.Hi <= b.Hi
		}
	}
	return lo && hi
}
