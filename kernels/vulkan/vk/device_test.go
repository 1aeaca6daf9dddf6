package vk

import (
	"encoding/binary"
	"errors"
	"os"
	"strings"
	"testing"
)

// openTest opens the first device with what the test needs. It skips without one,
// or fails when KERNELTEST_REQUIRE names vulkan.
func openTest(t testing.TB) (*Device, PhysicalDevice) {
	missing := t.Skipf
	if strings.Contains(os.Getenv("KERNELTEST_REQUIRE"), "vulkan") {
		missing = t.Fatalf
	}
	loader, err := Open()
	if err != nil {
		missing("no Vulkan here: %v", err)
	}
	inst, err := loader.CreateInstance(InstanceInfo{AppName: "vk test"})
	if err != nil {
		missing("no Vulkan here: %v", err)
	}
	t.Cleanup(func() { inst.Close(); loader.Close() })
	devs, err := inst.PhysicalDevices()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range devs {
		f := p.Features()
		if !f.BufferAddress || !f.TimelineSemaphore {
			continue
		}
		for i, q := range p.QueueFamilies() {
			if !q.Compute {
				continue
			}
			d, err := p.CreateDevice(DeviceInfo{Family: i, Features: f})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := d.Close(); err != nil {
					t.Error(err)
				}
			})
			return d, p
		}
	}
	missing("none of %d Vulkan devices has device addresses, timeline semaphores and a compute queue", len(devs))
	return nil, PhysicalDevice{}
}

// hostBuffer returns a mapped buffer of n bytes.
func hostBuffer(t testing.TB, d *Device, p PhysicalDevice, n int64) (Buffer, []byte) {
	b, err := d.CreateBuffer(n, BufferUsageCopySource|BufferUsageCopyTarget|BufferUsageStorage|BufferUsageDeviceAddress)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.DestroyBuffer(b) })
	size, _, types := d.Requirements(b)
	kinds, _ := p.Memory()
	for i, k := range kinds {
		if types>>i&1 == 0 || k.Flags&(MemoryHostVisible|MemoryHostCoherent) != MemoryHostVisible|MemoryHostCoherent {
			continue
		}
		m, err := d.Allocate(size, i)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { d.Free(m) })
		if err := d.Bind(b, m); err != nil {
			t.Fatal(err)
		}
		data, err := d.Map(m, n)
		if err != nil {
			t.Fatal(err)
		}
		return b, data
	}
	t.Fatal("no host-visible memory type")
	return 0, nil
}

func TestFillCopyReplay(t *testing.T) {
	d, p := openTest(t)
	const n = 256
	src, in := hostBuffer(t, d, p, n)
	dst, out := hostBuffer(t, d, p, n)
	if a, b := d.Address(src), d.Address(dst); a == 0 || b == 0 || a == b {
		t.Errorf("device addresses %#x and %#x", a, b)
	}
	pool, err := d.CreateCommandPool()
	if err != nil {
		t.Fatal(err)
	}
	defer d.DestroyCommandPool(pool)
	sem, err := d.CreateSemaphore()
	if err != nil {
		t.Fatal(err)
	}
	defer sem.Destroy()
	q, err := d.CreateQueries(2)
	if err != nil {
		t.Fatal(err)
	}
	defer q.Destroy()

	c, err := d.BeginCommands(pool)
	if err != nil {
		t.Fatal(err)
	}
	c.ResetQueries(q)
	c.Timestamp(q, 0)
	c.Fill(dst, 0, n, 0x01020304)
	c.Barrier()
	c.Copy(dst, 8, src, 4, 16)
	c.Timestamp(q, 1)
	c.HostBarrier()
	if err := c.End(); err != nil {
		t.Fatal(err)
	}

	sub := d.NewSubmission(c, sem)
	for step := uint64(1); step <= 3; step++ {
		binary.LittleEndian.PutUint64(in[4:], step)
		if err := sub.Submit(step); err != nil {
			t.Fatal(err)
		}
		if ok, err := sem.Wait(step, 10e9); err != nil || !ok {
			t.Fatalf("wait: %v, %v", ok, err)
		}
		if got := binary.LittleEndian.Uint64(out[8:]); got != step {
			t.Errorf("step %d: copied %d", step, got)
		}
		if got := binary.LittleEndian.Uint32(out[n-4:]); got != 0x01020304 {
			t.Errorf("step %d: filled with %#x", step, got)
		}
		ticks, err := q.Results()
		if err != nil || ticks[1] < ticks[0] {
			t.Errorf("timestamps %v, %v", ticks, err)
		}
	}
	if ok, err := sem.Wait(99, 1000); err != nil || ok {
		t.Errorf("waiting for a value nobody signals: %v, %v; want false, nil", ok, err)
	}

	step := uint64(3)
	allocs := testing.AllocsPerRun(20, func() {
		step++
		if err := sub.Submit(step); err != nil {
			t.Fatal(err)
		}
		if _, err := sem.Wait(step, 10e9); err != nil {
			t.Fatal(err)
		}
	})
	if allocs != 0 {
		t.Errorf("a step allocates %v times, want 0", allocs)
	}
}

func TestProperties(t *testing.T) {
	_, p := openTest(t)
	got := p.Properties()
	if got.Name == "" || got.DriverName == "" || got.API < apiVersion12 {
		t.Errorf("device %q, driver %q, version %v", got.Name, got.DriverName, got.API)
	}
	// The minima that the Vulkan specification guarantees.
	if got.MaxPushConstants < 128 || got.MaxStorageRange < 1<<27 || got.MaxInvocations < 128 ||
		got.MaxGroups[0] < 65535 || got.MaxSharedMemory < 16<<10 || got.SubgroupSize < 1 || got.MaxAllocationSize < 1<<30 {
		t.Errorf("limits below the guaranteed minima: %+v", got)
	}
	types, heaps := p.Memory()
	if len(types) == 0 || len(heaps) == 0 || heaps[0].Size <= 0 {
		t.Errorf("memory types %v, heaps %v", types, heaps)
	}
}

func TestCallError(t *testing.T) {
	lost := ErrDeviceLost
	err := check("vkQueueSubmit", uintptr(uint32(lost)))
	if !errors.Is(err, ErrDeviceLost) {
		t.Errorf("got %v, want it to be ErrDeviceLost", err)
	}
	if got, want := err.Error(), "vk: vkQueueSubmit: VK_ERROR_DEVICE_LOST"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if err := check("vkWaitSemaphores", uintptr(Timeout)); err != nil {
		t.Errorf("a timeout is no error, got %v", err)
	}
}

func TestCreateShaderRefuses(t *testing.T) {
	for name, code := range map[string][]byte{
		"empty": nil, "odd length": make([]byte, 21), "no magic": make([]byte, 24),
	} {
		if _, err := new(Device).CreateShader(code); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
