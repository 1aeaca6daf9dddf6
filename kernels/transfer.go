package kernels

import (
	"context"
	"fmt"
	"io"
	"math"
)

// Upload copies data into a region. Where the CPU cannot see the buffer, the
// buffer's own WriteAt does it, or else a Copy program, which takes as much
// memory again as the region.
func Upload(be Backend, dst Region, data []byte) error {
	if int64(len(data)) != dst.Size {
		return fmt.Errorf("kernels: upload of %d bytes into a region of %d", len(data), dst.Size)
	}
	if b := dst.Buffer.Bytes(); b != nil {
		copy(b[dst.Offset:dst.Offset+dst.Size], data)
		return nil
	}
	if w, ok := dst.Buffer.(io.WriterAt); ok {
		_, err := w.WriteAt(data, dst.Offset)
		return err
	}
	return transfer(be, dst, Input, func(ex Exec, host SlotID) error {
		copy(ex.Input(host), data)
		return ex.Run(context.Background(), 1)
	})
}

// Download copies a region into dst, by the ways of Upload.
func Download(be Backend, dst []byte, src Region) error {
	if int64(len(dst)) != src.Size {
		return fmt.Errorf("kernels: download of a region of %d bytes into %d", src.Size, len(dst))
	}
	if b := src.Buffer.Bytes(); b != nil {
		copy(dst, b[src.Offset:src.Offset+src.Size])
		return nil
	}
	if r, ok := src.Buffer.(io.ReaderAt); ok {
		_, err := r.ReadAt(dst, src.Offset)
		return err
	}
	return transfer(be, src, Output, func(ex Exec, host SlotID) error {
		if err := ex.Run(context.Background(), 1); err != nil {
			return err
		}
		copy(dst, ex.Output(host))
		return nil
	})
}

// transfer compiles a copy between a region and host memory and hands it to use.
func transfer(be Backend, r Region, role Role, use func(Exec, SlotID) error) (err error) {
	if r.Size == 0 {
		return nil
	}
	dt, n := U8, r.Size
	if n%4 == 0 && r.Offset%4 == 0 {
		dt, n = F32, n/4
	}
	if n > math.MaxInt32 {
		return fmt.Errorf("kernels: transfer of %d bytes at once", r.Size)
	}
	p := &Program{Name: "transfer"}
	dev := p.AddSlot(Slot{Name: "device", DType: dt, Shape: []int{int(n)}, Role: Persistent})
	host := p.AddSlot(Slot{Name: "host", DType: dt, Shape: []int{int(n)}, Role: role})
	from, to := host, dev
	if role == Output {
		from, to = dev, host
	}
	p.Code = []Instr{{Op: Copy, In: []View{Dense(from, 0, int(n))}, Out: []View{Dense(to, 0, int(n))}}}
	pl, err := be.Plan(p)
	if err != nil {
		return err
	}
	temp, err := be.Alloc(max(1, pl.TempBytes), Device)
	if err != nil {
		return err
	}
	defer temp.Close()
	ex, err := be.Compile(p, pl, map[SlotID]Region{dev: r}, Region{Buffer: temp, Size: pl.TempBytes})
	if err != nil {
		return err
	}
	defer func() {
		if e := ex.Close(); err == nil {
			err = e
		}
	}()
	return use(ex, host)
}
