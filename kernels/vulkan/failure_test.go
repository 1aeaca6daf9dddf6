package vulkan

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"graft/kernels"
	"graft/kernels/vulkan/vk"
)

// failing makes calls of one function of the driver fail: from the one with number at on,
// counted from 1 since set, they give result, without being made or after it.
type failing struct {
	mu     sync.Mutex
	fn     string
	at     int
	result vk.Result
	after  bool
	calls  map[string]int // all calls made, by function
	log    []string       // and their order, of those that record or submit commands
}

func (f *failing) seam() *vk.Seam {
	f.calls = map[string]int{}
	return &vk.Seam{
		Before: func(fn string) vk.Result {
			f.mu.Lock()
			defer f.mu.Unlock()
			if f.fn == fn && !f.after {
				if f.at--; f.at <= 0 {
					return f.result
				}
			}
			return vk.Success
		},
		After: func(fn string, r vk.Result) vk.Result {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.calls[fn]++
			if strings.HasPrefix(fn, "vkCmd") || strings.HasSuffix(fn, "CommandBuffer") {
				f.log = append(f.log, fn)
			}
			if f.fn == fn && f.after {
				if f.at--; f.at <= 0 {
					return f.result
				}
			}
			return r
		},
	}
}

func (f *failing) set(fn string, at int, result vk.Result, after bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fn, f.at, f.result, f.after = fn, at, result, after
}

// TestRunFails fails the calls of a run and demands the error that it means, where the run
// stood, and that nothing is left behind.
func TestRunFails(t *testing.T) {
	const submit, wait = "vkQueueSubmit", "vkWaitSemaphores"
	for _, c := range []struct {
		name   string
		fn     string
		at     int
		result vk.Result
		after  bool
		cold   bool // in the run that measures
		want   error
		done   int // segments, -1 for all
	}{
		{"lost at the first submit", submit, 1, vk.ErrDeviceLost, false, false, kernels.ErrDeviceLost, 0},
		{"lost at the fourth submit", submit, 4, vk.ErrDeviceLost, false, false, kernels.ErrDeviceLost, 3},
		{"no memory at the 13th submit", submit, 13, vk.ErrOutOfDevMemory, false, false, kernels.ErrOutOfMemory, 12},
		{"no memory of the host", submit, 2, vk.ErrOutOfHostMemory, false, false, kernels.ErrOutOfMemory, 1},
		{"lost at the end", wait, 1, vk.ErrDeviceLost, true, false, kernels.ErrDeviceLost, -1},
		{"timeout", wait, 1, vk.Timeout, true, false, kernels.ErrTimeout, -1},
		{"lost in the first run", wait, 6, vk.ErrDeviceLost, true, true, kernels.ErrDeviceLost, 6},
		{"timeout in the first run", wait, 6, vk.Timeout, true, true, kernels.ErrTimeout, 6},
		{"no memory to record again", "vkBeginCommandBuffer", 1, vk.ErrOutOfHostMemory, false, true, kernels.ErrOutOfMemory, -1},
	} {
		t.Run(c.name, func(t *testing.T) {
			var f failing
			b := openSetup(t, setup{seam: f.seam()})
			b.segmentTime = time.Nanosecond
			r := newRig(t, b)
			branches(r)
			e := r.compile().(*exec)
			n, done := len(e.segs), c.done
			if n != len(e.steps) || n < 16 {
				t.Fatalf("%d segments for %d dispatches", n, len(e.steps))
			}
			if done < 0 {
				done = n
			}
			where := fmt.Sprintf("in the first of %d segments", n)
			if done > 0 {
				instr := e.steps[done-1].instr
				where = fmt.Sprintf("after segment %d of %d (dispatch %d, instruction %d %v)", done, n, done-1, instr, r.prog.Code[instr].Op)
			}
			if !c.cold {
				if err := e.Run(context.Background(), 1); err != nil {
					t.Fatal(err)
				}
			}
			if c.fn == "vkBeginCommandBuffer" {
				b.segmentTime = time.Hour // to have something to record
			}
			f.set(c.fn, c.at, c.result, c.after)
			err := e.Run(context.Background(), 1)
			f.set("", 0, 0, false)
			if !errors.Is(err, c.want) || !strings.Contains(err.Error(), where) || !strings.Contains(err.Error(), "vulkan: run "+r.prog.Name) {
				t.Fatalf("got %v, want %v %s", err, c.want, where)
			}
			if again := e.Run(context.Background(), 1); again != err {
				t.Errorf("then %v", again)
			}
			if _, again := e.Profile(context.Background()); again != err {
				t.Errorf("a profile gives %v", again)
			}
			if err := errors.Join(e.Close(), b.Close()); err != nil {
				t.Error(err)
			}
			for _, what := range []string{"CommandPool", "Semaphore", "Buffer", "Pipeline", "Device"} {
				if made, gone := f.calls["vkCreate"+what]+f.calls["vkCreateCompute"+what+"s"], f.calls["vkDestroy"+what]; made != gone {
					t.Errorf("%d of %d %ss are left", made-gone, made, what)
				}
			}
		})
	}
}

// TestPlaceUnknown leaves the place out when the driver does not tell it.
func TestPlaceUnknown(t *testing.T) {
	var f failing
	b := openSetup(t, setup{seam: f.seam()})
	r := newRig(t, b)
	branches(r)
	e := r.compile().(*exec)
	r.b.dev.WaitIdle()
	e.runErr = nil
	e.rec.next, e.rec.base = 9, 7 // the semaphore is at 0
	err := e.failed(&vk.CallError{Func: "vkQueueSubmit", Result: vk.ErrDeviceLost})
	if want := fmt.Sprintf("vulkan: run %s: %v: vk: vkQueueSubmit", r.prog.Name, kernels.ErrDeviceLost); !strings.HasPrefix(err.Error(), want) {
		t.Errorf("a counter that cannot be: got %v, want %v", err, want)
	}
	e.rec.next, e.rec.base = 0, 0
	f.set("vkGetSemaphoreCounterValue", 1, vk.ErrDeviceLost, false)
	if _, ok := e.rec.finished(); ok {
		t.Error("a place though the driver does not tell the counter")
	}
}

// TestLateWork closes a program whose work has not ended: what the device may still use is
// freed with the backend, not before.
func TestLateWork(t *testing.T) {
	var f failing
	b := openSetup(t, setup{seam: f.seam(), staged: true})
	r := newRig(t, b)
	branchesIO(r)
	e := r.compile().(*exec)
	f.set("vkWaitSemaphores", 1, vk.Timeout, true)
	if err := e.Run(context.Background(), 1); !errors.Is(err, kernels.ErrTimeout) {
		t.Fatalf("got %v, want a timeout", err)
	}
	pools, buffers := f.calls["vkDestroyCommandPool"], f.calls["vkDestroyBuffer"]
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if p, u := f.calls["vkDestroyCommandPool"], f.calls["vkDestroyBuffer"]; p != pools || u != buffers {
		t.Errorf("destroyed %d pools and %d buffers that are in use", p-pools, u-buffers)
	}
	f.set("", 0, 0, false)
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if made, gone := f.calls["vkCreateCommandPool"], f.calls["vkDestroyCommandPool"]; made != gone {
		t.Errorf("%d of %d command pools are left", made-gone, made)
	}
	if made, gone := f.calls["vkCreateBuffer"], f.calls["vkDestroyBuffer"]; made != gone {
		t.Errorf("%d of %d buffers are left", made-gone, made)
	}
}

// TestCompileFails fails each kind of call that Compile makes, one after another.
func TestCompileFails(t *testing.T) {
	var f failing
	b := openSetup(t, setup{seam: f.seam(), staged: true})
	r := newRig(t, b)
	branchesIO(r)
	r.compile().Close()
	pl := must(b.Plan(&r.prog))
	temp := tempRegion(t, b, pl.TempBytes)
	b.pipelines.close()
	b.pipelines = openPipelines(b.dev, b.layout, cacheFile{})
	for _, fn := range []string{"vkCreateShaderModule", "vkCreateComputePipelines", "vkCreateSemaphore", "vkCreateCommandPool",
		"vkAllocateCommandBuffers", "vkBeginCommandBuffer", "vkEndCommandBuffer", "vkCreateBuffer", "vkAllocateMemory"} {
		before := len(b.buffers)
		f.set(fn, 1, vk.ErrOutOfDevMemory, false)
		ex, err := b.Compile(&r.prog, pl, r.bind, temp)
		if !errors.Is(err, kernels.ErrOutOfMemory) || !strings.Contains(err.Error(), r.prog.Name) || ex != nil {
			t.Errorf("%s: got %v, want out of memory", fn, err)
		}
		if len(b.buffers) != before {
			t.Errorf("%s: %d buffers are left", fn, len(b.buffers)-before)
		}
	}
	f.set("", 0, 0, false)
	ex, err := b.Compile(&r.prog, pl, r.bind, temp)
	if err != nil {
		t.Fatalf("after the failures: %v", err)
	}
	if err := ex.Run(context.Background(), 1); err != nil {
		t.Error(err)
	}
}

// TestRecordedCommands looks at what is recorded, which a driver that runs dispatches in
// order does not show: a barrier between groups and none inside of them, one at the end of
// every part, one copy of all inputs and one of all outputs however many parts there are.
func TestRecordedCommands(t *testing.T) {
	for _, c := range []struct {
		name string
		time time.Duration
	}{{"one part", time.Hour}, {"some parts", 100 * time.Microsecond}, {"each dispatch a part", time.Nanosecond}} {
		t.Run(c.name, func(t *testing.T) {
			var f failing
			b := openSetup(t, setup{seam: f.seam(), staged: true})
			b.segmentTime = c.time
			r := newRig(t, b)
			branchesIO(r)
			r.compile().Close()
			temp := tempRegion(t, b, must(b.Plan(&r.prog)).TempBytes)
			pl := must(b.Plan(&r.prog))
			f.log = nil
			e := must(b.Compile(&r.prog, pl, r.bind, temp)).(*exec)
			// Allocating the inputs and outputs cleared them, in recordings of their own.
			start := slices.Index(f.log, "vkCmdCopyBuffer") - 1
			log := f.log[start:]
			dispatch, barriers, copies, part, parts := 0, 0, []int(nil), 0, 0
			for i, fn := range log {
				switch fn {
				case "vkBeginCommandBuffer":
					part, barriers = dispatch, 0
				case "vkEndCommandBuffer":
					if parts++; log[i-1] != "vkCmdPipelineBarrier" {
						t.Errorf("part %d ends in %s, want a barrier", parts, log[i-1])
					}
				case "vkCmdPipelineBarrier":
					barriers++
				case "vkCmdCopyBuffer":
					copies = append(copies, dispatch)
					if dispatch > 0 && barriers == 0 {
						t.Error("no barrier before the outputs are copied")
					}
					barriers = 0
				case "vkCmdDispatch":
					starts := slices.Contains(pl.Groups, dispatch)
					if want := starts && dispatch > part || dispatch == 0; want != (barriers == 1) || barriers > 1 {
						t.Errorf("dispatch %d: %d barriers before it, starts a group: %v, a part: %v", dispatch, barriers, starts, dispatch == part)
					}
					dispatch++
					barriers = 0
				}
			}
			if dispatch != len(pl.Dispatches) || parts != len(e.segs) {
				t.Errorf("%d dispatches in %d parts, want %d in %d", dispatch, parts, len(pl.Dispatches), len(e.segs))
			}
			if want := []int{0, dispatch}; !slices.Equal(copies, want) {
				t.Errorf("copies before dispatches %v, want %v", copies, want)
			}
		})
	}
}

// TestProfileFails leaves the program usable when timing it fails before it ran.
func TestProfileFails(t *testing.T) {
	var f failing
	b := openSetup(t, setup{seam: f.seam()})
	r := newRig(t, b)
	out := branches(r)
	e := r.compile()
	if err := e.Run(context.Background(), 1); err != nil {
		t.Fatal(err)
	}
	want := r.readBytes(out)
	for _, fn := range []string{"vkCreateQueryPool", "vkCreateSemaphore", "vkBeginCommandBuffer", "vkGetQueryPoolResults"} {
		f.set(fn, 1, vk.ErrOutOfDevMemory, false)
		if _, err := e.Profile(context.Background()); !errors.Is(err, kernels.ErrOutOfMemory) {
			t.Errorf("%s: got %v, want out of memory", fn, err)
		}
	}
	f.set("", 0, 0, false)
	if err := e.Run(context.Background(), 1); err != nil {
		t.Fatal(err)
	}
	if got := r.readBytes(out); !bytes.Equal(got, want) {
		t.Error("other bits afterwards")
	}
}
