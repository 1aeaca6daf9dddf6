package vk

import (
	"errors"
	"fmt"
)

var (
	// ErrNoLoader means that the machine has no Vulkan loader library.
	ErrNoLoader = errors.New("no Vulkan loader")
	// ErrNotBuilt means that the program was built without Vulkan support.
	ErrNotBuilt = errors.New("built without Vulkan")
)

// Result is a VkResult. Negative ones are errors.
type Result int32

// The results a compute program can meet.
const (
	Success             Result = 0
	NotReady            Result = 1
	Timeout             Result = 2
	Incomplete          Result = 5
	ErrOutOfHostMemory  Result = -1
	ErrOutOfDevMemory   Result = -2
	ErrInitialization   Result = -3
	ErrDeviceLost       Result = -4
	ErrMemoryMapFailed  Result = -5
	ErrLayerNotPresent  Result = -6
	ErrExtNotPresent    Result = -7
	ErrFeatNotPresent   Result = -8
	ErrIncompatible     Result = -9
	ErrTooManyObjects   Result = -10
	ErrFragmentedPool   Result = -12
	ErrUnknown          Result = -13
	ErrInvalidHandle    Result = -1000072003
	ErrInvalidAddress   Result = -1000257000
	ErrOutOfPoolMemory  Result = -1000069000
	ErrInvalidShader    Result = -1000012000
	ErrValidationFailed Result = -1000011001
)

var resultNames = map[Result]string{
	Success:             "VK_SUCCESS",
	NotReady:            "VK_NOT_READY",
	Timeout:             "VK_TIMEOUT",
	Incomplete:          "VK_INCOMPLETE",
	ErrOutOfHostMemory:  "VK_ERROR_OUT_OF_HOST_MEMORY",
	ErrOutOfDevMemory:   "VK_ERROR_OUT_OF_DEVICE_MEMORY",
	ErrInitialization:   "VK_ERROR_INITIALIZATION_FAILED",
	ErrDeviceLost:       "VK_ERROR_DEVICE_LOST",
	ErrMemoryMapFailed:  "VK_ERROR_MEMORY_MAP_FAILED",
	ErrLayerNotPresent:  "VK_ERROR_LAYER_NOT_PRESENT",
	ErrExtNotPresent:    "VK_ERROR_EXTENSION_NOT_PRESENT",
	ErrFeatNotPresent:   "VK_ERROR_FEATURE_NOT_PRESENT",
	ErrIncompatible:     "VK_ERROR_INCOMPATIBLE_DRIVER",
	ErrTooManyObjects:   "VK_ERROR_TOO_MANY_OBJECTS",
	ErrFragmentedPool:   "VK_ERROR_FRAGMENTED_POOL",
	ErrUnknown:          "VK_ERROR_UNKNOWN",
	ErrInvalidHandle:    "VK_ERROR_INVALID_EXTERNAL_HANDLE",
	ErrInvalidAddress:   "VK_ERROR_INVALID_OPAQUE_CAPTURE_ADDRESS",
	ErrOutOfPoolMemory:  "VK_ERROR_OUT_OF_POOL_MEMORY",
	ErrInvalidShader:    "VK_ERROR_INVALID_SHADER_NV",
	ErrValidationFailed: "VK_ERROR_VALIDATION_FAILED_EXT",
}

func (r Result) Error() string {
	if s, ok := resultNames[r]; ok {
		return s
	}
	return fmt.Sprintf("VkResult %d", int32(r))
}

// CallError is a failed Vulkan call. It unwraps to its Result, so
// errors.Is(err, vk.ErrDeviceLost) works.
type CallError struct {
	Func   string // the C function
	Result Result
}

func (e *CallError) Error() string { return "vk: " + e.Func + ": " + e.Result.Error() }

// Unwrap returns the result.
func (e *CallError) Unwrap() error { return e.Result }

// check turns the return value of a C function into an error.
func check(fn string, r uintptr) error {
	if res := Result(int32(uint32(r))); res < 0 {
		return &CallError{fn, res}
	}
	return nil
}
