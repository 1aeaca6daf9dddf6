package vulkan

import (
	"errors"
	"strings"
	"testing"

	"graft/kernels"
)

func TestChoose(t *testing.T) {
	soft := Info{Index: 0, Name: "soft", Type: "software", Software: true}
	small := Info{Index: 1, Name: "small", Type: "integrated"}
	big := Info{Index: 2, Name: "big", Type: "discrete"}
	old := Info{Index: 3, Name: "old", Type: "discrete", Missing: "Vulkan 1.2"}
	for _, c := range []struct {
		name  string
		infos []Info
		arg   string
		want  int
		err   string
	}{
		{name: "discrete first", infos: []Info{soft, small, big}, want: 2},
		{name: "integrated before software", infos: []Info{soft, small}, want: 1},
		{name: "software when nothing else", infos: []Info{soft}, want: 0},
		{name: "unusable is passed over", infos: []Info{old, soft}, want: 1},
		{name: "by number", infos: []Info{soft, small, big}, arg: "0", want: 0},
		{name: "no device", err: "no device"},
		{name: "number too large", infos: []Info{soft}, arg: "1", err: "from 0 to 0"},
		{name: "not a number", infos: []Info{soft}, arg: "first", err: `"first"`},
		{name: "asked for an unusable one", infos: []Info{old}, arg: "0", err: "old) lacks Vulkan 1.2"},
		{name: "only unusable ones", infos: []Info{old}, err: "old lacks Vulkan 1.2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := choose(c.infos, c.arg)
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) || !errors.Is(err, kernels.ErrNoDevice) {
					t.Errorf("got %v, want ErrNoDevice with %q", err, c.err)
				}
				return
			}
			if err != nil || got != c.want {
				t.Errorf("got %d, %v, want %d", got, err, c.want)
			}
		})
	}
}

// TestCaps also shows, with -v, what the tests ran on.
func TestCaps(t *testing.T) {
	b := open(t)
	c := b.Caps()
	t.Logf("%+v", c)
	t.Logf("%+v", b.Info())
	if c.Name != "vulkan" || b.Info().Name == "" || c.Memory <= 0 || c.Align%256 != 0 || !strings.Contains(c.Fingerprint, b.Info().Name) ||
		strings.HasSuffix(c.Device, "software driver") != b.Info().Software {
		t.Errorf("caps %+v", c)
	}
	infos, err := Devices()
	if err != nil || len(infos) == 0 || infos[b.Info().Index] != b.Info() {
		t.Errorf("devices %+v, %v, want %+v among them", infos, err, b.Info())
	}
}

func TestAllocTooLarge(t *testing.T) {
	b := open(t)
	if _, err := b.Alloc(-1, kernels.Device); err == nil {
		t.Error("-1 bytes: allocated")
	}
	for _, n := range []int64{b.largestHeap() + 1, 1 << 62} {
		if _, err := b.Alloc(n, kernels.Device); !errors.Is(err, kernels.ErrOutOfMemory) {
			t.Errorf("%d bytes: got %v, want ErrOutOfMemory", n, err)
		}
	}
}
