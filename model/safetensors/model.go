package safetensors

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
)

// DefaultShardBytes is where [WriteModel] begins a new file unless told
// otherwise: 5 GB, as in Transformers.
const DefaultShardBytes = 5_000_000_000

// ModelOptions are the choices of [WriteModel]; the zero value is good.
type ModelOptions struct {
	MaxShardBytes int64             // of tensor data per file; 0 is DefaultShardBytes
	Metadata      map[string]string // of every file; "format": "pt" is added unless it is set
}

// WriteModel writes the weights of a model directory the way Transformers does:
// model.safetensors, or if that would be larger than MaxShardBytes,
// model-00001-of-0000N.safetensors and so on with model.safetensors.index.json.
// Tensors go to the shards in the order given; a tensor larger than the limit
// has a file of its own.
//
// data is called once for every tensor, one after the other, and writes its
// bytes, exactly as many as it has; [WriteF32] helps. Nothing is held longer
// than that. The files get their names when all are on the disk, the index
// last; if anything fails, none of them stays. A directory that already has
// weights is refused, as a mixture of old and new shards would load.
func WriteModel(dir string, specs []Spec, opts ModelOptions, data func(s Spec, w io.Writer) error) error {
	if err := refuseWeights(dir); err != nil {
		return at(dir, err)
	}
	sizes := make([]int64, len(specs))
	infos, err := layout(specs) // checks names across the shards too
	if err != nil {
		return at(dir, err)
	}
	if len(infos) == 0 {
		return at(dir, fmt.Errorf("no tensors to write"))
	}
	for i, s := range specs {
		sizes[i], _ = byteSize(s.DType, s.Shape) // checked by layout
	}
	limit := opts.MaxShardBytes
	if limit <= 0 {
		limit = DefaultShardBytes
	}
	m := &modelWriter{dir: dir, specs: specs, sizes: sizes, metadata: map[string]string{"format": "pt"}, fsys: osFiles{}}
	maps.Copy(m.metadata, opts.Metadata)
	return m.write(planShards(sizes, limit), data)
}

// refuseWeights looks for what OpenModel or Transformers would read.
func refuseWeights(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		name := entry.Name()
		shard, _ := filepath.Match("model-*-of-*.safetensors", name)
		if shard || name == singleName || name == indexName {
			return fmt.Errorf("already has %s: %w", name, os.ErrExist)
		}
	}
	return nil
}

// planShards groups tensors, given by their sizes, into files of up to limit
// bytes, in order and without looking back. Like Transformers it gives a
// larger tensor a file of its own and goes on filling the one before.
func planShards(sizes []int64, limit int64) [][]int {
	var shards [][]int
	var current []int
	room := limit
	for i, size := range sizes {
		if size > limit {
			shards = append(shards, []int{i})
			continue
		}
		if size > room {
			shards = append(shards, current)
			current, room = nil, limit
		}
		current = append(current, i)
		room -= size
	}
	if len(current) > 0 {
		shards = append(shards, current)
	}
	return shards
}

func shardName(i, n int) string {
	if n == 1 {
		return singleName
	}
	return fmt.Sprintf("model-%05d-of-%05d.safetensors", i+1, n)
}

// modelWriter holds shards that are complete but do not have their names yet.
type modelWriter struct {
	dir      string
	specs    []Spec
	sizes    []int64 // of specs, in bytes
	metadata map[string]string
	fsys     files
	shards   []*shardFile
}

type shardFile struct {
	name    string
	tensors []int // indices of specs
	w       *Writer
}

func (m *modelWriter) write(shards [][]int, data func(Spec, io.Writer) error) error {
	whole := false
	defer func() { // also when data panics
		if !whole {
			m.discard()
		}
	}()
	for i, shard := range shards {
		if err := m.writeShard(shardName(i, len(shards)), shard, data); err != nil {
			return err
		}
	}
	if err := m.publish(); err != nil {
		return err
	}
	whole = true
	return nil
}

func (m *modelWriter) writeShard(name string, tensors []int, data func(Spec, io.Writer) error) error {
	specs := make(map[string]Spec, len(tensors))
	var list []Spec
	for _, i := range tensors {
		specs[m.specs[i].Name] = m.specs[i]
		list = append(list, m.specs[i])
	}
	w, err := create(filepath.Join(m.dir, name), list, m.metadata, m.fsys)
	if err != nil {
		return err
	}
	m.shards = append(m.shards, &shardFile{name: name, tensors: tensors, w: w})
	for _, name := range w.Names() {
		err := w.Fill(name, func(out io.Writer) error { return data(specs[name], out) })
		if err != nil {
			return err
		}
	}
	return w.finish()
}

// publish names the shards and then writes the index, so that a model that was
// cut short in between has no index and is not taken for a whole one.
func (m *modelWriter) publish() error {
	for _, shard := range m.shards {
		if err := shard.w.publish(); err != nil {
			return err
		}
	}
	if len(m.shards) == 1 {
		return nil
	}
	path := filepath.Join(m.dir, indexName)
	if err := writeFile(m.fsys, path, m.index()); err != nil {
		return at(path, err)
	}
	return nil
}

// index is the document Transformers writes: indented by two, names sorted.
func (m *modelWriter) index() []byte {
	total := int64(0)
	where := map[string]string{}
	for _, shard := range m.shards {
		for _, i := range shard.tensors {
			total += m.sizes[i]
			where[m.specs[i].Name] = shard.name
		}
	}
	var doc bytes.Buffer
	fmt.Fprintf(&doc, "{\n  \"metadata\": {\n    \"total_size\": %d\n  },\n  \"weight_map\": {", total)
	sep := "\n"
	for _, name := range slices.Sorted(maps.Keys(where)) {
		fmt.Fprintf(&doc, "%s    %s: %s", sep, jsonString(name), jsonString(where[name]))
		sep = ",\n"
	}
	doc.WriteString("\n  }\n}\n")
	return doc.Bytes()
}

func (m *modelWriter) discard() {
	for _, shard := range m.shards {
		shard.w.Discard()
		if shard.w.out.published {
			m.fsys.remove(filepath.Join(m.dir, shard.name))
		}
	}
}

// writeFile writes a small file with the guarantees of Writer.
func writeFile(fsys files, path string, content []byte) error {
	p, err := newPending(fsys, path)
	if err != nil {
		return err
	}
	_, err = p.WriteAt(content, 0)
	if err == nil {
		err = p.sync()
	}
	if err == nil {
		err = p.publish()
	}
	if err != nil {
		p.discard()
		if p.published {
			fsys.remove(path)
		}
	}
	return err
}
