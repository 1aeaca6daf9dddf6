package vulkan

import (
	"fmt"
	"runtime"
	"sync"

	"graft/kernels/vulkan/vk"
	"graft/shaders"
)

// pipelines are the compiled kernels of a device. They are compiled in parallel, and what
// the driver made of them is kept in a file for the next run.
type pipelines struct {
	dev     *vk.Device
	layout  vk.PipelineLayout
	file    cacheFile
	cache   vk.PipelineCache // 0 is none
	shaders map[string]vk.Shader
	made    map[string]vk.Pipeline
	kept    int // how many of made there were when the file was last looked after
}

// variant is a kernel with its specialisation constants and the size of its subgroups,
// where that matters.
type variant struct {
	kernel   string
	spec     []uint32
	subgroup int // 0: as the driver likes
}

func (v variant) key() string { return fmt.Sprint(v.kernel, v.spec, v.subgroup) }

func openPipelines(dev *vk.Device, layout vk.PipelineLayout, file cacheFile) *pipelines {
	p := &pipelines{dev: dev, layout: layout, file: file, shaders: map[string]vk.Shader{}, made: map[string]vk.Pipeline{}}
	// A cache only saves time: where the driver takes no content, or makes none, all works.
	var err error
	if p.cache, err = dev.CreatePipelineCache(p.file.read()); err != nil {
		p.cache, _ = dev.CreatePipelineCache(nil)
	}
	return p
}

// get returns the compiled kernel, compiling it at its first use.
func (p *pipelines) get(v variant) (vk.Pipeline, error) {
	key := v.key()
	if h, ok := p.made[key]; ok {
		return h, nil
	}
	if err := p.prepare([]variant{v}); err != nil {
		return 0, err
	}
	return p.made[key], nil
}

// prepare compiles all variants that are not yet compiled, as many at once as there are
// processors.
func (p *pipelines) prepare(vs []variant) error {
	todo := map[string]int{}
	var work []variant
	var modules []vk.Shader
	for _, v := range vs {
		key := v.key()
		if _, ok := todo[key]; ok || p.made[key] != 0 {
			continue
		}
		module, err := p.shader(v.kernel)
		if err != nil {
			return err
		}
		todo[key] = len(work)
		work, modules = append(work, v), append(modules, module)
	}
	made, errs := make([]vk.Pipeline, len(work)), make([]error, len(work))
	next := make(chan int)
	var wg sync.WaitGroup
	for range min(len(work), runtime.GOMAXPROCS(0)) {
		wg.Go(func() {
			for i := range next {
				made[i], errs[i] = p.dev.CreatePipeline(p.cache, modules[i], p.layout, work[i].spec, work[i].subgroup)
			}
		})
	}
	for i := range work {
		next <- i
	}
	close(next)
	wg.Wait()
	for key, i := range todo {
		if errs[i] == nil {
			p.made[key] = made[i]
		}
	}
	for i, err := range errs {
		if err != nil {
			return fmt.Errorf("kernel %s: %w", work[i].kernel, err)
		}
	}
	// Twice as many as at the last time, so that a thousand small programs write no
	// thousand files.
	if len(p.made) >= 2*p.kept {
		p.keep()
	}
	return nil
}

func (p *pipelines) shader(kernel string) (vk.Shader, error) {
	if s, ok := p.shaders[kernel]; ok {
		return s, nil
	}
	code, err := shaders.SPIRV(kernel)
	if err != nil {
		return 0, err
	}
	s, err := p.dev.CreateShader(code)
	if err != nil {
		return 0, fmt.Errorf("kernel %s: %w", kernel, err)
	}
	p.shaders[kernel] = s
	return s, nil
}

// keep writes the driver's cache to the file when there is something new.
func (p *pipelines) keep() {
	if p.cache == 0 || p.file.path == "" || len(p.made) == p.kept {
		return
	}
	p.kept = len(p.made)
	if content, err := p.dev.PipelineCacheData(p.cache); err == nil {
		p.file.write(content)
	}
}

func (p *pipelines) close() {
	p.keep()
	for _, h := range p.made {
		p.dev.DestroyPipeline(h)
	}
	for _, s := range p.shaders {
		p.dev.DestroyShader(s)
	}
	p.dev.DestroyPipelineCache(p.cache)
	*p = pipelines{}
}
