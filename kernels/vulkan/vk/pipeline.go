package vk

import (
	"encoding/binary"
	"fmt"
	"runtime"
	"unsafe"
)

// Shader is a VkShaderModule.
type Shader uintptr

// PipelineLayout is a VkPipelineLayout with push constants only.
type PipelineLayout uintptr

// Pipeline is a compiled compute shader.
type Pipeline uintptr

// spirvMagic is the first word of every SPIR-V module.
const spirvMagic = 0x07230203

// CreateShader hands a SPIR-V module to the driver.
func (d *Device) CreateShader(code []byte) (Shader, error) {
	if len(code) < 20 || len(code)%4 != 0 || binary.LittleEndian.Uint32(code) != spirvMagic {
		return 0, fmt.Errorf("vk: %d bytes of shader are no SPIR-V module", len(code))
	}
	words := make([]uint32, len(code)/4)
	for i := range words {
		words[i] = binary.LittleEndian.Uint32(code[4*i:])
	}
	h, err := d.create(fnCreateShaderModule, unsafe.Pointer(&shaderModuleCreateInfo{
		sType: typeShaderModuleCreateInfo, codeSize: uintptr(len(code)), pCode: &words[0]}))
	return Shader(h), err
}

// DestroyShader destroys s; pipelines made from it stay.
func (d *Device) DestroyShader(s Shader) { d.destroy(fnDestroyShaderModule, uintptr(s)) }

// CreatePipelineLayout creates the layout of shaders that take size bytes of push constants.
func (d *Device) CreatePipelineLayout(size int) (PipelineLayout, error) {
	h, err := d.create(fnCreatePipelineLayout, unsafe.Pointer(&pipelineLayoutCreateInfo{
		sType: typePipelineLayoutCreateInfo, pushConstantRangeCount: 1,
		pPushConstantRanges: &pushConstantRange{stageFlags: stageCompute, size: uint32(size)}}))
	return PipelineLayout(h), err
}

// DestroyPipelineLayout destroys l.
func (d *Device) DestroyPipelineLayout(l PipelineLayout) {
	d.destroy(fnDestroyPipelineLayout, uintptr(l))
}

// CreatePipeline compiles the entry point main of s, by way of a cache unless it is 0.
// The specialisation constant with identity i gets spec[i], as 32 bits. Subgroups have
// subgroup invocations and are full (MatrixFeatures.Subgroup), or as the driver likes
// them where it is 0.
func (d *Device) CreatePipeline(c PipelineCache, s Shader, l PipelineLayout, spec []uint32, subgroup int) (Pipeline, error) {
	ci := &computePipelineCreateInfo{
		sType: typeComputePipelineCreateInfo,
		stage: pipelineShaderStageCreateInfo{
			sType: typePipelineShaderStage, stage: stageCompute, module: uintptr(s), pName: cstring("main")},
		layout:            uintptr(l),
		basePipelineIndex: -1,
	}
	if subgroup != 0 {
		ci.stage.flags = stageFullSubgroups
		ci.stage.pNext = unsafe.Pointer(&pipelineShaderStageRequiredSubgroupSizeCreateInfo{
			sType: typeRequiredSubgroupSize, requiredSubgroupSize: uint32(subgroup)})
	}
	if len(spec) > 0 {
		entries := make([]specializationMapEntry, len(spec))
		for i := range entries {
			entries[i] = specializationMapEntry{uint32(i), uint32(4 * i), 4}
		}
		ci.stage.pSpecializationInfo = &specializationInfo{uint32(len(spec)), &entries[0],
			uintptr(4 * len(spec)), unsafe.Pointer(&spec[0])}
	}
	h := new(uintptr)
	r := d.call(fnCreateComputePipelines, d.handle, uintptr(c), 1, uintptr(unsafe.Pointer(ci)), 0, uintptr(unsafe.Pointer(h)))
	runtime.KeepAlive(ci)
	return Pipeline(*h), check("vkCreateComputePipelines", r)
}

// PipelineCache is a VkPipelineCache: what the driver keeps of compiled pipelines. Several
// goroutines may create pipelines with one.
type PipelineCache uintptr

// CreatePipelineCache creates a cache with the content that PipelineCacheData gave, nil
// for none. The driver trusts the content: it must be of the same device and driver.
func (d *Device) CreatePipelineCache(content []byte) (PipelineCache, error) {
	h, err := d.create(fnCreatePipelineCache, unsafe.Pointer(&pipelineCacheCreateInfo{
		sType: typePipelineCacheCreateInfo, initialDataSize: uintptr(len(content)),
		pInitialData: unsafe.Pointer(unsafe.SliceData(content))}))
	return PipelineCache(h), err
}

// PipelineCacheData returns the content of a cache.
func (d *Device) PipelineCacheData(c PipelineCache) ([]byte, error) {
	n := new(uintptr)
	r := d.call(fnGetPipelineCacheData, d.handle, uintptr(c), uintptr(unsafe.Pointer(n)), 0)
	if err := check("vkGetPipelineCacheData", r); err != nil || *n == 0 {
		return nil, err
	}
	out := make([]byte, *n)
	r = d.call(fnGetPipelineCacheData, d.handle, uintptr(c), uintptr(unsafe.Pointer(n)), uintptr(unsafe.Pointer(&out[0])))
	return out[:*n], check("vkGetPipelineCacheData", r)
}

// DestroyPipelineCache destroys c; pipelines made with it stay.
func (d *Device) DestroyPipelineCache(c PipelineCache) { d.destroy(fnDestroyPipelineCache, uintptr(c)) }

// DestroyPipeline destroys p.
func (d *Device) DestroyPipeline(p Pipeline) { d.destroy(fnDestroyPipeline, uintptr(p)) }
