//go:build !novulkan && (amd64 || arm64)

package vk

import (
	"fmt"

	"golang.org/x/sys/windows"
)

type library struct{ handle windows.Handle }

func openLibrary() (library, error) {
	// From the system directory only, so that no DLL beside the program is picked up.
	h, err := windows.LoadLibraryEx("vulkan-1.dll", 0, windows.LOAD_LIBRARY_SEARCH_SYSTEM32)
	if err != nil {
		return library{}, fmt.Errorf("%w: vulkan-1.dll: %v", ErrNoLoader, err)
	}
	return library{h}, nil
}

func (l library) symbol(name string) uintptr {
	p, err := windows.GetProcAddress(l.handle, name)
	if err != nil {
		return 0
	}
	return p
}

func (l library) close() error { return windows.FreeLibrary(l.handle) }
