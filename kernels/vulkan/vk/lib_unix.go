//go:build !novulkan && (amd64 || arm64) && (linux || darwin)

package vk

import (
	"fmt"
	"runtime"

	"github.com/ebitengine/purego"
)

type library struct{ handle uintptr }

// libraryNames lists the loader's run-time names, best first. The unversioned
// libvulkan.so is left out: it is the developer's link and absent on users' machines.
func libraryNames() []string {
	if runtime.GOOS == "darwin" {
		return []string{"libvulkan.1.dylib", "/usr/local/lib/libvulkan.1.dylib",
			"/opt/homebrew/lib/libvulkan.1.dylib", "libMoltenVK.dylib",
			"/opt/homebrew/lib/libMoltenVK.dylib"}
	}
	return []string{"libvulkan.so.1"}
}

func openLibrary() (library, error) {
	var first error
	for _, name := range libraryNames() {
		h, err := purego.Dlopen(name, purego.RTLD_NOW|purego.RTLD_LOCAL)
		if err == nil {
			return library{h}, nil
		}
		if first == nil {
			first = err
		}
	}
	return library{}, fmt.Errorf("%w: %v", ErrNoLoader, first)
}

func (l library) symbol(name string) uintptr {
	p, err := purego.Dlsym(l.handle, name)
	if err != nil {
		return 0
	}
	return p
}

func (l library) close() error { return purego.Dlclose(l.handle) }
