//go:build novulkan || !(amd64 || arm64) || !(linux || darwin || windows)

package vk

func openLibrary() (library, error) { return library{}, ErrNotBuilt }

type library struct{}

func (library) symbol(string) uintptr { return 0 }
func (library) close() error          { return nil }

// call is never reached: without a library there is no function address.
func call(uintptr, ...uintptr) uintptr {
	unknown := ErrUnknown
	return uintptr(uint32(unknown))
}
