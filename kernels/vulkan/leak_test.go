package vulkan

import (
	"context"
	"errors"
	"math"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"

	"graft/kernels"
	"graft/kernels/vulkan/vk"
	"graft/tensor"
)

// ledger is a seam that counts the objects of the driver and lets the call with the number
// at fail. Where a call can lose the device, all such calls after it fail too.
type ledger struct {
	mu     sync.Mutex
	live   map[string]int // objects by kind
	calls  int
	names  []string // of the calls
	at     int      // 0 is never
	name   string
	result vk.Result // what the call fails with; Success chooses what fits it
	ran    bool      // the call that is to fail is being made
}

// losing are the calls that can find the device lost. Those that wait are made all the
// same: what they wait for must not be freed too early.
var losing = map[string]bool{"vkQueueSubmit": true, "vkWaitSemaphores": true, "vkDeviceWaitIdle": true,
	"vkGetQueryPoolResults": true, "vkGetSemaphoreCounterValue": true}

func (f *ledger) seam() *vk.Seam { return &vk.Seam{Before: f.before, After: f.after} }

func (f *ledger) before(fn string) vk.Result {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls++
	f.names = append(f.names, fn)
	if f.calls == f.at {
		f.name = fn
	}
	lost := f.name != "" && losing[f.name] && losing[fn] && f.result == vk.Success
	switch {
	case f.calls != f.at && !lost:
		return vk.Success
	case fn == "vkWaitSemaphores" || fn == "vkDeviceWaitIdle":
		f.ran = true
		return vk.Success
	}
	return f.failure(fn)
}

func (f *ledger) failure(fn string) vk.Result {
	switch {
	case f.result != vk.Success:
		return f.result
	case losing[fn]:
		return vk.ErrDeviceLost
	}
	return vk.ErrOutOfDevMemory
}

func (f *ledger) after(fn string, r vk.Result) vk.Result {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ran {
		f.ran = false
		return f.failure(fn)
	}
	for prefix, n := range map[string]int{"vkCreate": 1, "vkAllocate": 1, "vkDestroy": -1, "vkFree": -1} {
		// Command buffers go with their pool.
		if kind, ok := strings.CutPrefix(fn, prefix); ok && r == vk.Success && kind != "CommandBuffers" {
			kind = strings.TrimSuffix(strings.TrimPrefix(kind, "Compute"), "s")
			if f.live[kind] += n; f.live[kind] == 0 {
				delete(f.live, kind)
			}
		}
	}
	return r
}

// light is a program with slots of every role and scratch, of kernels that drivers compile
// quickly.
func light() *kernels.Program {
	p := &kernels.Program{Name: "light"}
	add := func(name string, role kernels.Role, n int) kernels.View {
		return kernels.Dense(p.AddSlot(kernels.Slot{Name: name, Shape: []int{n}, Role: role}), 0, n)
	}
	x, w, tmp, sum := add("x", kernels.Input, 100), add("w", kernels.Persistent, 100), add("tmp", kernels.Temp, 100), add("sum", kernels.Output, 1)
	p.Code = []kernels.Instr{
		{Op: kernels.Copy, In: []kernels.View{x}, Out: []kernels.View{tmp}},
		{Op: kernels.SumSq, In: []kernels.View{tmp}, Out: []kernels.View{sum}},
		{Op: kernels.Copy, In: []kernels.View{tmp}, Out: []kernels.View{w}},
	}
	return p
}

// everything opens the device, runs and profiles a program with temporaries, inputs and
// outputs, moves bytes and closes. It returns the first error and that of Close.
func everything(f *ledger, staged bool) (err, closing error) {
	// Without matrix cores: a fault in their test turns them off and is no error.
	b, err := openWith("", setup{seam: f.seam(), staged: staged, plain: true})
	if err != nil {
		return err, nil
	}
	s := tensor.NewStore(b)
	defer func() { closing = errors.Join(s.Close(), b.Close()) }()
	p := light()
	if err := errors.Join(s.Declare(p), s.Alloc()); err != nil {
		return err, nil
	}
	if err := s.Write("w", 0, make([]byte, 400)); err != nil {
		return err, nil
	}
	ex, err := s.Compile(p)
	if err != nil {
		return err, nil
	}
	if err := ex.Run(context.Background(), 2); err != nil {
		return err, nil
	}
	if _, err := ex.Profile(context.Background()); err != nil {
		return err, nil
	}
	return s.Read("w", 0, make([]byte, 400)), nil
}

// forgiven are the calls without whose success all works: they only save time.
var forgiven = []string{"vkCreatePipelineCache", "vkGetPipelineCacheData"}

// TestEveryCallFails lets the first call into the driver fail, then the second, and so on.
// Each time the error must be one line and of a type that callers can tell, and nothing of
// the driver may be left after Close.
func TestEveryCallFails(t *testing.T) {
	open(t).Close() // skips without a device
	t.Setenv(cacheEnv, "off")
	for name, staged := range map[string]bool{"shared memory": false, "staged": true} {
		t.Run(name, func(t *testing.T) {
			whole := &ledger{live: map[string]int{}}
			if err, closing := everything(whole, staged); err != nil || closing != nil || len(whole.live) != 0 {
				t.Fatalf("without a fault: %v, %v, left %v", err, closing, whole.live)
			}
			seen := map[string]int{}
			for at := 1; at <= whole.calls; at++ {
				f := &ledger{live: map[string]int{}, at: at}
				err, closing := everything(f, staged)
				seen[f.name]++
				if len(f.live) != 0 {
					t.Errorf("call %d, %s: left %v", at, f.name, f.live)
				}
				if err == nil {
					err = closing
				}
				switch {
				case err == nil && !slices.Contains(forgiven, f.name):
					t.Errorf("call %d, %s: its failure goes unnoticed", at, f.name)
				case err == nil:
				case strings.Contains(err.Error(), "\n"):
					t.Errorf("call %d, %s: the error has several lines: %v", at, f.name, err)
				case losing[f.name] && !errors.Is(err, kernels.ErrDeviceLost), !losing[f.name] && !errors.Is(err, kernels.ErrOutOfMemory):
					t.Errorf("call %d, %s: the error has the wrong type: %v", at, f.name, err)
				case !strings.HasPrefix(err.Error(), "vulkan: ") || !strings.Contains(err.Error(), f.name):
					t.Errorf("call %d, %s: the error does not say what failed: %v", at, f.name, err)
				}
			}
			t.Logf("%d calls: %v", whole.calls, seen)
			for _, fn := range []string{"vkCreateInstance", "vkCreateDevice", "vkCreateBuffer", "vkAllocateMemory", "vkMapMemory",
				"vkCreateShaderModule", "vkCreateComputePipelines", "vkEndCommandBuffer", "vkQueueSubmit", "vkWaitSemaphores",
				"vkGetQueryPoolResults", "vkDeviceWaitIdle"} {
				if seen[fn] == 0 {
					t.Errorf("%s was never called: the test shows little", fn)
				}
			}
		})
	}
}

// TestEveryWaitTimesOut lets one wait after the other end too early.
func TestEveryWaitTimesOut(t *testing.T) {
	open(t).Close()
	t.Setenv(cacheEnv, "off")
	whole := &ledger{live: map[string]int{}}
	if err, closing := everything(whole, true); err != nil || closing != nil {
		t.Fatal(err, closing)
	}
	waits := 0
	for i, fn := range whole.names {
		if fn != "vkWaitSemaphores" {
			continue
		}
		waits++
		f := &ledger{live: map[string]int{}, at: i + 1, result: vk.Timeout}
		err, closing := everything(f, true)
		if !errors.Is(err, kernels.ErrTimeout) || strings.Contains(err.Error(), "\n") {
			t.Errorf("call %d: got %v, want ErrTimeout in one line", i+1, err)
		}
		if closing != nil || len(f.live) != 0 {
			t.Errorf("call %d: left %v, %v", i+1, f.live, closing)
		}
	}
	if waits < 5 {
		t.Errorf("only %d waits: the test shows little", waits)
	}
}

// TestOpensAndCloses opens the device, runs a program and closes 200 times: neither objects
// of the driver nor memory may grow. (lavapipe keeps half a kilobyte of each bare instance.)
func TestOpensAndCloses(t *testing.T) {
	if testing.Short() {
		t.Skip("opens the device 220 times")
	}
	soft := open(t).info.Software
	t.Setenv(cacheEnv, "off")
	// A C library gives threads that compile at once arenas of their own, and keeps them.
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	f := &ledger{live: map[string]int{}}
	cycles := func(n int) {
		for range n {
			if err, closing := everything(f, false); err != nil || closing != nil || len(f.live) != 0 {
				t.Fatalf("%v, %v, left %v", err, closing, f.live)
			}
			f.names = f.names[:0]
		}
		debug.FreeOSMemory()
	}
	cycles(20) // what is set up once
	if !soft {
		cycles(200) // its memory is not in the resident set
		return
	}
	// What is lost each time grows in every quarter, what is set up late in one.
	least, last := int64(math.MaxInt64), resident(t)
	for range 4 {
		cycles(50)
		now := resident(t)
		t.Logf("grown by %d KiB in 50 times", (now-last)>>10)
		least, last = min(least, now-last), now
	}
	if least > 1<<20 {
		t.Errorf("grown by %d bytes or more in each 50 times", least)
	}
}
