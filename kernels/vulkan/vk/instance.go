package vk

import (
	"fmt"
	"runtime"
	"slices"
	"unsafe"
)

// Loader is the opened Vulkan loader library.
type Loader struct {
	lib     library
	getProc uintptr
	fns     [numGlobal]uintptr
	seam    *Seam
}

// Open opens the system's Vulkan loader. The error is ErrNoLoader when there is none
// and ErrNotBuilt when the program was built without Vulkan.
func Open() (*Loader, error) {
	lib, err := openLibrary()
	if err != nil {
		return nil, fmt.Errorf("vk: %w", err)
	}
	l := &Loader{lib: lib, getProc: lib.symbol("vkGetInstanceProcAddr")}
	if l.getProc == 0 {
		lib.close()
		return nil, fmt.Errorf("vk: %w: the library has no vkGetInstanceProcAddr", ErrNoLoader)
	}
	// A loader of Vulkan 1.0 lacks vkEnumerateInstanceVersion, so this also asks for 1.1.
	if err := resolve(l.fns[:], globalNames[:], l.getProc, 0); err != nil {
		lib.close()
		return nil, err
	}
	return l, nil
}

// Close unloads the library. Instances must be closed before.
func (l *Loader) Close() error {
	if err := l.lib.close(); err != nil {
		return fmt.Errorf("vk: close the loader: %w", err)
	}
	return nil
}

// call is the one way from the loader's methods into the library.
//
//go:uintptrescapes
func (l *Loader) call(fn int, args ...uintptr) uintptr {
	if l.seam == nil {
		return call(l.fns[fn], args...)
	}
	return l.seam.call(globalNames[fn], l.fns[fn], args...)
}

// Version returns the highest API version the loader supports.
func (l *Loader) Version() (Version, error) {
	var v Version
	err := check("vkEnumerateInstanceVersion",
		l.call(fnEnumerateInstanceVersion, uintptr(unsafe.Pointer(&v))))
	return v, err
}

// Layers lists the names of the installed instance layers.
func (l *Loader) Layers() ([]string, error) {
	ps, err := enumerate(globalNames[fnEnumerateInstanceLayerProperties], func(n *uint32, p *layerProperties) uintptr {
		return l.call(fnEnumerateInstanceLayerProperties, uintptr(unsafe.Pointer(n)), uintptr(unsafe.Pointer(p)))
	})
	names := make([]string, len(ps))
	for i := range ps {
		names[i] = gostring(ps[i].layerName[:])
	}
	return names, err
}

// Extensions lists the names of the instance extensions.
func (l *Loader) Extensions() ([]string, error) {
	ps, err := enumerate(globalNames[fnEnumerateInstanceExtensionProperties], func(n *uint32, p *extensionProperties) uintptr {
		return l.call(fnEnumerateInstanceExtensionProperties, 0, uintptr(unsafe.Pointer(n)), uintptr(unsafe.Pointer(p)))
	})
	return extensionNames(ps), err
}

func extensionNames(ps []extensionProperties) []string {
	names := make([]string, len(ps))
	for i := range ps {
		names[i] = gostring(ps[i].extensionName[:])
	}
	return names
}

// enumerate runs the two-call protocol of Vulkan's list functions: first the count,
// then the items, again when the list grew in between.
func enumerate[T any](name string, fn func(*uint32, *T) uintptr) ([]T, error) {
	for range 8 {
		n := new(uint32)
		if err := check(name, fn(n, nil)); err != nil || *n == 0 {
			return nil, err
		}
		items := make([]T, *n)
		r := fn(n, &items[0])
		if err := check(name, r); err != nil {
			return nil, err
		}
		if Result(int32(uint32(r))) != Incomplete {
			return items[:*n], nil
		}
	}
	return nil, &CallError{name, Incomplete}
}

// InstanceInfo says what an instance is for.
type InstanceInfo struct {
	AppName string
	Layers  []string // instance layers to enable; each must be installed
}

// Instance is a connection to the Vulkan drivers.
type Instance struct {
	handle  uintptr
	api     Version // that it was created for
	getProc uintptr
	fns     [numInstance]uintptr
	seam    *Seam
}

// CreateInstance creates an instance of Vulkan 1.3, or of 1.2 where the loader knows no more.
func (l *Loader) CreateInstance(info InstanceInfo) (*Instance, error) {
	v, err := l.Version()
	if err != nil {
		return nil, err
	} else if v < apiVersion12 {
		return nil, fmt.Errorf("vk: the Vulkan loader supports version %v, 1.2 is needed", v)
	}
	exts, err := l.Extensions()
	if err != nil {
		return nil, err
	}
	in := &Instance{seam: l.seam, api: apiVersion12, getProc: l.getProc}
	if v >= apiVersion13 {
		in.api = apiVersion13
	}
	ci := &instanceCreateInfo{
		sType: typeInstanceCreateInfo,
		pApplicationInfo: &applicationInfo{
			sType:            typeApplicationInfo,
			pApplicationName: cstring(info.AppName),
			pEngineName:      cstring("graft"),
			apiVersion:       uint32(in.api),
		},
		enabledLayerCount:   uint32(len(info.Layers)),
		ppEnabledLayerNames: cstrings(info.Layers),
	}
	// Loaders hide drivers that translate to another API (MoltenVK) unless asked.
	if ext := []string{"VK_KHR_portability_enumeration"}; slices.Contains(exts, ext[0]) {
		ci.flags = instancePortability
		ci.enabledExtensionCount = 1
		ci.ppEnabledExtensionNames = cstrings(ext)
	}
	if err := check("vkCreateInstance", l.call(fnCreateInstance, uintptr(unsafe.Pointer(ci)), 0,
		uintptr(unsafe.Pointer(&in.handle)))); err != nil {
		return nil, err
	}
	runtime.KeepAlive(ci)
	if err := resolve(in.fns[:], instanceNames[:], l.getProc, in.handle); err != nil {
		if in.fns[fnDestroyInstance] != 0 {
			in.Close()
		}
		return nil, err
	}
	return in, nil
}

// function returns the address of an instance function that a driver need not have. The
// caller has looked for its extension: some loaders have an address for it nevertheless.
func (in *Instance) function(name string) (uintptr, error) {
	fn := call(in.getProc, in.handle, uintptr(unsafe.Pointer(cstring(name))))
	if fn == 0 {
		return 0, fmt.Errorf("vk: the driver has no %s", name)
	}
	return fn, nil
}

// call is the one way from the instance's methods into the loader and the drivers.
//
//go:uintptrescapes
func (in *Instance) call(fn int, args ...uintptr) uintptr {
	if in.seam == nil {
		return call(in.fns[fn], args...)
	}
	return in.seam.call(instanceNames[fn], in.fns[fn], args...)
}

// Close destroys the instance. Its devices must be closed before.
func (in *Instance) Close() error {
	in.call(fnDestroyInstance, in.handle, 0)
	in.handle = 0
	return nil
}

// Version is a Vulkan version number.
type Version uint32

// Major returns the first part.
func (v Version) Major() int { return int(v >> 22 & 0x7f) }

// Minor returns the second part.
func (v Version) Minor() int { return int(v >> 12 & 0x3ff) }

// Patch returns the third part.
func (v Version) Patch() int { return int(v & 0xfff) }

func (v Version) String() string {
	return fmt.Sprintf("%d.%d.%d", v.Major(), v.Minor(), v.Patch())
}
