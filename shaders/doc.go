// Package shaders holds Graft's compute kernels: GLSL written by hand and the
// SPIR-V built from it, which is committed and embedded, so that neither building
// nor running Graft needs a shader compiler.
//
//	code, err := shaders.SPIRV("matmul")
//	module, err := device.CreateShader(code)
//
// One kernel a file; its head says what it computes, the shapes, the dispatch, the
// shared memory and why it is deterministic. Storage types and options are
// specialisation constants, so one SPIR-V module serves all of them. Only the type of
// a cooperative matrix cannot be one: such sources name their modules in lines
// "//graft:build KERNEL MACRO=VALUE". Buffers come as device addresses in push constants.
//
// After a change, run go generate ./shaders (needs glslangValidator and spirv-val; for
// cooperative matrices newer ones, as internal/genshaders says);
// spv/manifest.txt holds hashes of sources and results, and the tests fail when they
// do not belong together. The package is a leaf and knows nothing of Vulkan.
package shaders

//go:generate go run ../internal/genshaders
