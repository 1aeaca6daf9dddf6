package compare

import (
	"fmt"
	"image/color"
	"io"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"

	"graft/elo"
)

// The two methods' colours, told apart also without colour vision.
var (
	colourELO  = color.RGBA{R: 0xd5, G: 0x5e, A: 0xff}
	colourFull = color.RGBA{G: 0x72, B: 0xb2, A: 0xff}
)

// smoothing is the weight of the past in the plotted loss.
const smoothing = 0.8

// WritePNG draws the training loss of both runs, against tokens and against
// seconds of training, side by side. The dashed line is the graft.
func (r *Report) WritePNG(w io.Writer) error {
	var row []*plot.Plot
	for _, x := range []struct {
		label string
		of    func(s elo.StepReport) float64
	}{
		{"tokens", func(s elo.StepReport) float64 { return float64(s.Targets) }},
		{"seconds of training", func(s elo.StepReport) float64 { return s.Seconds }},
	} {
		p, err := r.curves(x.label, x.of)
		if err != nil {
			return err
		}
		row = append(row, p)
	}
	img := vgimg.New(11*vg.Inch, 4.2*vg.Inch)
	dc := draw.New(img)
	tiles := draw.Tiles{Rows: 1, Cols: 2, PadX: vg.Points(18), PadTop: vg.Points(8), PadBottom: vg.Points(8), PadLeft: vg.Points(8), PadRight: vg.Points(12)}
	for i, c := range plot.Align([][]*plot.Plot{row}, tiles, dc)[0] {
		row[i].Draw(c)
	}
	png := vgimg.PngCanvas{Canvas: img}
	if _, err := png.WriteTo(w); err != nil {
		return fmt.Errorf("compare: %w", err)
	}
	return nil
}

func (r *Report) curves(label string, of func(elo.StepReport) float64) (*plot.Plot, error) {
	p := plot.New()
	p.X.Label.Text, p.Y.Label.Text = label, "training loss, nats per token"
	p.X.Min = 0
	p.Legend.Top, p.Legend.XOffs, p.Legend.YOffs = true, -vg.Points(8), -vg.Points(6)
	p.Legend.Padding, p.Legend.ThumbnailWidth = vg.Points(3), vg.Points(24)
	p.Add(plotter.NewGrid())
	for i, name := range []string{"ELO", "full training"} {
		points, graft := curve(r.Runs[i].Steps, of)
		line, err := plotter.NewLine(points)
		if err != nil {
			return nil, fmt.Errorf("compare: %w", err)
		}
		line.Color, line.Width = []color.Color{colourELO, colourFull}[i], vg.Points(1.6)
		p.Add(line)
		p.Legend.Add(name, line)
		if graft > 0 {
			if err := mark(p, graft); err != nil {
				return nil, err
			}
		}
	}
	return p, nil
}

// curve is the smoothed loss, and where the graft is; smoothing starts anew
// there, so that the jump shows.
func curve(steps []elo.StepReport, of func(elo.StepReport) float64) (points plotter.XYs, graft float64) {
	x, y := 0.0, 0.0
	for i, s := range steps {
		fresh := i == 0
		if i > 0 && s.Stage != steps[i-1].Stage {
			fresh, graft = true, x
		}
		x += of(s)
		if fresh {
			y = s.Loss
		}
		y = smoothing*y + (1-smoothing)*s.Loss
		points = append(points, plotter.XY{X: x, Y: y})
	}
	return points, graft
}

// mark draws the graft as a dashed vertical.
func mark(p *plot.Plot, x float64) error {
	line, err := plotter.NewLine(plotter.XYs{{X: x, Y: p.Y.Min}, {X: x, Y: p.Y.Max}})
	if err != nil {
		return fmt.Errorf("compare: %w", err)
	}
	line.Color, line.Dashes = colourELO, []vg.Length{vg.Points(3), vg.Points(3)}
	p.Add(line)
	p.Legend.Add("graft", line)
	return nil
}
