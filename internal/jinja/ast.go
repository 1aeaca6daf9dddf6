package jinja

// expr is an expression.
type expr interface{}

type (
	constant struct{ value any }
	name     struct{ id string }
	listExpr struct {
		items []expr
		tuple bool
	}
	dictExpr struct{ keys, values []expr }
	unary    struct {
		op string // not, - or +
		x  expr
	}
	binary struct {
		op   string // arithmetic, ~, and, or
		a, b expr
	}
	compare struct {
		first expr
		ops   []string
		rest  []expr
	}
	conditional struct{ test, yes, no expr } // no may be nil
	attribute   struct {
		x    expr
		name string
	}
	subscript struct{ x, index expr }
	sliceExpr struct{ x, lo, hi, step expr } // bounds may be nil
	arguments struct {
		args    []expr
		names   []string
		named   []expr
		star    expr // *args, nil without
		starred expr // **kwargs, nil without
	}
	call struct {
		fn   expr
		args arguments
		line int
	}
	filter struct {
		x    expr
		name string
		args arguments
		line int
	}
	test struct {
		x    expr
		name string
		args arguments
		not  bool
		line int
	}
)

// node is a statement.
type node interface{}

type (
	text   struct{ s string }
	output struct {
		x    expr
		line int
	}
	ifNode struct {
		tests []expr
		then  [][]node
		other []node
		line  int
	}
	forNode struct {
		target    target
		in        expr
		filter    expr // nil without
		body      []node
		other     []node
		recursive bool
		line      int
	}
	setNode struct {
		target target
		value  expr
		line   int
	}
	setBlock struct {
		target  target
		filters []filter
		body    []node
		line    int
	}
	macroNode struct {
		name                    string
		params                  []string
		defaults                []expr // of the last parameters
		body                    []node
		varargs, kwargs, caller bool // whether the body mentions them
		line                    int
	}
	callBlock struct {
		call   *call
		caller *macroNode
		line   int
	}
	filterBlock struct {
		filters []filter
		body    []node
		line    int
	}
	withNode struct {
		targets []target
		values  []expr
		body    []node
		line    int
	}
	generation struct {
		body []node
		line int
	}
	loopControl struct {
		again bool // continue, else break
	}
)

// target is what is assigned to: a name, an attribute of a namespace, or several.
type target struct {
	name  string
	attr  string // of the namespace name
	parts []target
}
