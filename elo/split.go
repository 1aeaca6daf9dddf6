package elo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"graft/model"
	"graft/model/safetensors"
)

// Split writes the small model of some layers of a base, untrained: embedding,
// the layers, final norm and head, byte for byte. Any trainer can take it from
// there; Reassemble takes the result back. layers is as model.ParseLayers reads
// it; the layers chosen are returned.
func Split(ctx context.Context, env *Env, base, layers, output string) (chosen []int, err error) {
	ck, err := model.Open(base)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, ck.Close()) }()
	if chosen, err = model.ParseLayers(layers, ck.Config.Layers); err != nil {
		return nil, err
	}
	rec, err := newRecord(ck, chosen)
	if err != nil {
		return nil, err
	}
	rec.Kind = KindSmall
	return chosen, writeSmall(ctx, env, ck, chosen, output, rec, nil)
}

// values gives the bytes of a trained tensor, by its name in the checkpoint, in
// the given type; ok is false, and nothing is written, for tensors that stay as
// they are.
type values func(w io.Writer, dt safetensors.DType, name string) (ok bool, err error)

// writeSmall writes the model of the chosen layers of ck, trained values in
// place of the checkpoint's.
func writeSmall(ctx context.Context, env *Env, ck *model.Checkpoint, layers []int, output string, rec Record, trained values) error {
	cfg, err := ck.Config.Select(layers)
	if err != nil {
		return err
	}
	original := func(small string) string {
		name, _ := model.OriginalName(small, layers)
		return name
	}
	return writeModel(ctx, env, ck, cfg, original, output, rec, trained, nil)
}

// writeModel writes a model directory made of ck's tensors. source gives the
// name in ck of each of its tensors. Masters of the trained ones are kept
// beside when their stored type is less exact, as are the files of more. Directories to spare are not
// replaced, whatever env says.
func writeModel(ctx context.Context, env *Env, ck *model.Checkpoint, cfg *model.Config, source func(string) string, output string, rec Record, trained values, more map[string][]byte, spare ...string) error {
	defer since(&env.Times.Save, time.Now())
	if trained == nil {
		trained = func(io.Writer, safetensors.DType, string) (bool, error) { return false, nil }
	}
	dtype := func(name string) safetensors.DType {
		info, _ := ck.Info(source(name))
		return info.DType
	}
	files := map[string][]byte{recordName: rec.encode()}
	maps.Copy(files, ck.Companions())
	maps.Copy(files, more)
	return model.Write(output, model.WriteOptions{
		Config: cfg, Source: ck.Dir, Spare: spare, Force: env.Force, DType: dtype,
		Files: files,
		Extra: func(dir string) error { return keepMasters(dir, cfg, rec, source, dtype, trained) },
	}, func(spec safetensors.Spec, w io.Writer) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		name := source(spec.Name)
		if ok, err := trained(w, spec.DType, name); ok || err != nil {
			return err
		}
		return ck.Convert(w, spec.DType, name)
	})
}

// keepMasters writes the F32 values of trained tensors that the checkpoint's
// type would round. A model that is trained to the end keeps none.
func keepMasters(dir string, cfg *model.Config, rec Record, source func(string) string, dtype func(string) safetensors.DType, trained values) error {
	if rec.Kind == KindTrained {
		return nil
	}
	var specs []safetensors.Spec
	for _, t := range cfg.Tensors(nil) {
		if d := dtype(t.Name); d != safetensors.BF16 && d != safetensors.F16 {
			continue
		}
		ok, err := trained(io.Discard, safetensors.F32, source(t.Name))
		if err != nil {
			return err
		}
		if ok {
			specs = append(specs, safetensors.Spec{Name: t.Name, DType: safetensors.F32, Shape: t.Shape})
		}
	}
	if len(specs) == 0 {
		return nil
	}
	return writeMasters(dir, specs, func(w *safetensors.Writer) error {
		for _, s := range specs {
			err := w.Fill(s.Name, func(to io.Writer) error {
				_, err := trained(to, safetensors.F32, source(s.Name))
				return err
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// Reassemble overwrites the layers of a base that a small model is made of and
// writes the result; every other tensor is the base's, byte for byte. It returns
// the layers. layers may say which they are when the small model has no record,
// because another program wrote it; "" takes the record's.
func Reassemble(ctx context.Context, env *Env, base, small, layers, output string) (chosen []int, err error) {
	ck, err := model.Open(base)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, ck.Close()) }()
	graft, err := openGraft(env, ck, small, layers)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, graft.close()) }()
	rec := graft.rec
	if rec.Quantised == "" {
		if rec.Quantised, err = Quantised(ck); err != nil {
			return nil, err
		}
	}
	rec.Kind, rec.Base, rec.Depth, rec.Layers, rec.Prefix = KindGrafted, base, ck.Config.Layers, graft.layers, prefixes(graft.layers)
	same := func(name string) string { return name }
	return graft.layers, writeModel(ctx, env, ck, ck.Config, same, output, rec, graft.values, nil, graft.small.Dir)
}

// grafting is an opened small model, seen from its base.
type grafting struct {
	small   *model.Checkpoint
	layers  []int
	rec     Record
	masters *masters // by the base's names; nil when the small model has none
}

func openGraft(env *Env, base *model.Checkpoint, dir, layers string) (*grafting, error) {
	small, err := model.Open(dir)
	if err != nil {
		return nil, err
	}
	g := &grafting{small: small}
	if err := g.open(env, base, dir, layers); err != nil {
		return nil, errors.Join(err, g.close())
	}
	return g, nil
}

func (g *grafting) open(env *Env, base *model.Checkpoint, dir, layers string) error {
	rec, ok, err := ReadRecord(dir)
	if err != nil {
		return err
	}
	switch {
	case layers != "":
		if g.layers, err = model.ParseLayers(layers, base.Config.Layers); err != nil {
			return err
		}
	case ok && rec.Kind == KindSmall:
		g.layers = rec.Layers
		if rec.Depth != base.Config.Layers {
			return fmt.Errorf("elo: %s was cut from a model of %d layers, %s has %d", dir, rec.Depth, base.Dir, base.Config.Layers)
		}
	default:
		return fmt.Errorf("elo: %s has no %s that says which layers of the base it is made of: name them", dir, recordName)
	}
	g.rec = rec
	if err := g.fits(base); err != nil {
		return err
	}
	if g.masters, err = openMasters(g.small); err != nil {
		return err
	}
	if g.masters != nil {
		g.masters.rename = g.smallName
	}
	return g.compareFrozen(env, base)
}

// smallName is the name in the small model of one of its layers' tensors; ok is
// false for tensors that stay the base's.
func (g *grafting) smallName(name string) (string, bool) {
	if name == model.EmbedName || name == model.NormName || name == model.HeadName {
		return "", false
	}
	return model.SmallName(name, g.layers)
}

// fits compares the tensors that will be overwritten.
func (g *grafting) fits(base *model.Checkpoint) error {
	if got := g.small.Config.Layers; got != len(g.layers) {
		return fmt.Errorf("elo: %s has %d layers, want %d (layers %v of the base)", g.small.Dir, got, len(g.layers), g.layers)
	}
	for _, t := range base.Config.Tensors(g.layers) {
		name, ok := g.smallName(t.Name)
		if !ok {
			continue
		}
		info, ok := g.small.Info(name)
		if !ok || !slices.Equal(info.Shape, t.Shape) {
			return fmt.Errorf("elo: %s: tensor %q has shape %v, want %v of %q in %s", g.small.Dir, name, info.Shape, t.Shape, t.Name, base.Dir)
		}
	}
	return nil
}

// compareFrozen warns when embedding, norm or head differ from the base's:
// another program trained them, and they are not taken over.
func (g *grafting) compareFrozen(env *Env, base *model.Checkpoint) error {
	for _, t := range base.Config.Tensors([]int{}) {
		a, _ := base.Info(t.Name)
		b, ok := g.small.Info(t.Name)
		if !ok || a.DType != b.DType {
			continue
		}
		same, err := model.SameBytes(base, t.Name, g.small, t.Name)
		if err != nil {
			return err
		}
		if !same {
			env.report().Warn(fmt.Sprintf("%s: %s differs from the base's; only layers are taken over", g.small.Dir, t.Name))
		}
	}
	return nil
}

// values writes a tensor that comes from the small model.
func (g *grafting) values(w io.Writer, dt safetensors.DType, name string) (bool, error) {
	small, ok := g.smallName(name)
	if !ok {
		return false, nil
	}
	if g.masters != nil && g.masters.Has(name) {
		return true, g.masters.write(w, dt, small)
	}
	return true, g.small.Convert(w, dt, small)
}

func (g *grafting) close() error { return errors.Join(g.masters.close(), g.small.Close()) }
