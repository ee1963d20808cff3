/* ir/ir.h - the graph: modules, functions, nodes, types.
 *
 * A module holds symbols (parameters, states), rows (numbers for the descriptor) and functions. A function is a list of
 * nodes in execution order; a node is one operator and also the value it gives. Regions (the graphs inside `fused` and
 * `composite`) are isolated: they see only their inputs. Everything lives in the module's arena.
 *
 *     module @net {abi = 1}
 *     param @dense1.weight : f32[784, 10] {init = glorot_uniform}
 *     func @infer(%image : f32[B, 784]) -> (logits : f32[B, 10]) {
 *       %w = param @dense1.weight : f32[784, 10]
 *       %1 = dot_general %image, %w {lhs_contract = [1], rhs_contract = [0]} : f32[B, 10]
 *       return %1
 *     }
 *
 * Memory order: B is outermost in every tensor that has it, wherever it stands in the shape; the other dimensions
 * follow row-major. So all strides are constants and only loop bounds vary. */
#ifndef IR_IR_H
#define IR_IR_H

#include "ir/base/arena.h"
#include "ir/base/diag.h"
#include "ir/base/map.h"
#include "ir/base/text.h"
#include "ir/target.h"
#include <stdbool.h>
#include <stdint.h>

enum { IR_MAX_RANK = 8, IR_ABI = 1 };

/* Of what the order of sums is made: examples in a leaf, chains of a sum that goes over no batch. */
enum { IR_LEAF = 8, IR_CHAINS = 16 };

/* ---- types ---- */

/* An i1 is one byte in memory, 0 or 1. IR_NONE is the type of nodes without a result. */
typedef enum { IR_NONE, IR_F32, IR_F64, IR_I32, IR_I64, IR_UI32, IR_UI8, IR_I1, IR_NDTYPES } ir_dtype;

/* n, or n*B (B outer, n inner). At most one dimension of a type has the batch. */
typedef struct {
    int64_t n;
    bool batch;
} ir_dim;

typedef struct {
    ir_dtype dtype;
    int32_t rank;
    ir_dim dim[IR_MAX_RANK];
} ir_type;

const char *ir_dtype_name(ir_dtype t); /* "f32" */
bool ir_dtype_parse(const char *name, ir_dtype *out);
int64_t ir_dtype_size(ir_dtype t); /* bytes; 0 for IR_NONE */
bool ir_dtype_is_float(ir_dtype t);
bool ir_dtype_is_signed(ir_dtype t); /* f32 f64 i32 i64 */

ir_type ir_type_none(void);
ir_type ir_type_scalar(ir_dtype t);
ir_type ir_type_make(ir_dtype t, int rank, const ir_dim *dims);
bool ir_type_equal(const ir_type *a, const ir_type *b);
bool ir_shape_equal(const ir_type *a, const ir_type *b); /* all but the dtype */
int ir_batch_dim(const ir_type *t);                      /* the dimension that has B, or -1 */
int64_t ir_static_count(const ir_type *t);               /* product of the n; elements of one example if it has B */
int64_t ir_count(const ir_type *t, int64_t batch);       /* elements */
int64_t ir_extent(ir_dim d, int64_t batch);              /* n or n*batch */
/* Element strides in memory order. For a dimension n*B the stride is that of its inner n; B itself has *batch_stride
 * (0 without a batch). Index e of such a dimension lies at (e / n) * *batch_stride + (e % n) * stride. */
void ir_strides(const ir_type *t, int64_t stride[IR_MAX_RANK], int64_t *batch_stride);
void ir_type_print(const ir_type *t, text *out); /* "f32[B, 28*B...]" */

/* ---- attributes ---- */

/* A name with a word or a list of numbers. Immutable once on a node: nodes may share them. */
typedef struct ir_attr ir_attr;
struct ir_attr {
    const char *name;
    const char *word; /* NULL for a list */
    int32_t count;
    const double *number;
    ir_attr *next;
};

const ir_attr *ir_attr_find(const ir_attr *list, const char *name); /* or NULL */
/* Set, replacing one of that name, else at the end; the strings and numbers are copied into the arena. */
void ir_attr_set_word(arena *mem, ir_attr **list, const char *name, const char *word);
void ir_attr_set_numbers(arena *mem, ir_attr **list, const char *name, const double *number, int count);
void ir_attr_set_ints(arena *mem, ir_attr **list, const char *name, const int64_t *number, int count);
void ir_attr_remove(arena *mem, ir_attr **list, const char *name);
bool ir_attrs_equal(const ir_attr *a, const ir_attr *b); /* same names, values and order */
ir_attr *ir_attrs_copy(arena *mem, const ir_attr *list);

/* ---- operators ---- */

enum { OP_ELTWISE = 1, OP_COMMUTES = 2, OP_TYPED = 4, OP_SYMBOL = 8, OP_EFFECT = 16, OP_REGION = 32, OP_IMPURE = 64 };

typedef enum {
#define OP(ID, ...) IR_##ID,
#include "ir/ops.def"
    IR_NOPS
} ir_op;

typedef struct {
    const char *name, *attributes, *meaning;
    int32_t inputs, traits;
} ir_op_info;

extern const ir_op_info ir_ops[IR_NOPS];
bool ir_op_parse(const char *name, ir_op *out);

/* ---- modules, functions, nodes ---- */

typedef struct ir_module ir_module;
typedef struct ir_graph ir_graph;
typedef struct ir_node ir_node;
typedef struct ir_symbol ir_symbol;
typedef struct ir_row ir_row;

typedef enum {
    SEG_NONE,
    SEG_PARAM,
    SEG_STATE,
    SEG_GRADIENT,
    SEG_INPUT,  /* offset is the input's number: each input has its own pointer */
    SEG_OUTPUT, /* offset is the output's number */
    SEG_SAVED,
    SEG_WORKSPACE,
    SEG_WORKER,
    SEG_COUNT
} ir_segment;

const char *ir_segment_name(ir_segment s); /* "param", ...; "" for SEG_NONE */

typedef struct {
    ir_segment segment;
    int64_t offset; /* bytes from the segment's start */
} ir_place;

/* Memory that outlives a call, or crosses between functions: SEG_PARAM, SEG_STATE, SEG_GRADIENT or SEG_SAVED. */
struct ir_symbol {
    const char *name;
    ir_segment segment;
    ir_type type;
    ir_attr *attrs; /* init = ..., trainable = [0], and what later parts need */
    ir_place place;
    src_loc loc;
    ir_symbol *next;
};

/* Is it learned? A parameter with {trainable = [0]} is frozen: it has no gradient. */
bool ir_is_trainable(const ir_symbol *y);

/* What only the descriptor needs: `row metric @accuracy {...}`. */
struct ir_row {
    const char *kind, *name;
    ir_attr *attrs;
    src_loc loc;
    ir_row *next;
};

struct ir_node {
    ir_op op;
    ir_type type;
    int32_t nin;
    ir_node **in;
    ir_attr *attrs;
    ir_symbol *symbol; /* OP_SYMBOL */
    ir_graph *region;  /* OP_REGION: region->inputs[i] stands for in[i] */
    const char *name;  /* printed as %name; NULL for numbered */
    const char *label; /* "dense1.forward": layer.role */
    src_loc loc;       /* the YAML that asked for it */
    ir_place place;
    ir_graph *graph;
    ir_node *prev, *next;
    int32_t id; /* position in its graph after ir_number; a pass may use it as an index */
};

struct ir_graph {
    ir_module *module;
    ir_graph *next;   /* the module's next function */
    ir_node *owner;   /* the node whose region this is, or NULL */
    const char *name; /* a function's */
    ir_attr *attrs;   /* a function's */
    src_loc loc;
    ir_node **inputs; /* nodes of IR_INPUT; not in the list */
    int32_t ninputs;
    ir_node *first, *last;
    ir_node **results;
    const char **result_names; /* functions only, else NULL */
    int32_t nresults;
    /* New nodes go before 'before' (NULL: at the end) and take these. */
    ir_node *before;
    src_loc at;
    const char *at_label;
    int64_t at_stage; /* 0: none */
};

struct ir_module {
    arena *mem;
    const char *name;
    ir_attr *attrs;                   /* abi, after, source, hash ... */
    ir_target target;                 /* triple NULL: none yet */
    ir_symbol *symbols, *last_symbol; /* only ir_symbol_new adds one */
    ir_map *symbol_named;
    ir_row *rows;
    ir_graph *functions;
};

ir_module *ir_module_new(const char *name);
void ir_module_free(ir_module *m);                                                                 /* NULL is allowed */
ir_symbol *ir_symbol_new(ir_module *m, ir_segment s, const char *name, ir_type type, src_loc loc); /* at the end */
ir_symbol *ir_symbol_find(const ir_module *m, const char *name);                                   /* or NULL */
ir_row *ir_row_new(ir_module *m, const char *kind, const char *name, src_loc loc);                 /* at the end */
ir_row *ir_row_find(const ir_module *m, const char *kind, const char *name); /* name NULL: the first of that kind */
/* Of `row rate`: its kind's number in ir/rates.def (-1: none is so called), and the numbers of its schedule, warm-up
 * first; how many there are, of which 'out' has room for all or is NULL. 0: the rate is constant. */
int ir_rate_kind(const ir_row *row);
int ir_rate_numbers(const ir_row *row, double *out);
ir_graph *ir_function_new(ir_module *m, const char *name, src_loc loc); /* at the end */
ir_graph *ir_function_find(const ir_module *m, const char *name);
/* infer or evaluate: a model that does not train has memory for these alone. */
bool ir_is_inference(const ir_graph *function);
ir_graph *ir_region_new(ir_module *m);
ir_node *ir_input_new(ir_graph *g, const char *name, ir_type type); /* the graph's next input */
void ir_result_add(ir_graph *g, const char *name, ir_node *value);  /* the graph's next result */

/* A node before g->before, with g->at, g->at_label and, if not 0, g->at_stage as its `stage`. 'in' is copied. The type
 * is 'type' (IR_NONE where it is inferred later by ir_infer). */
ir_node *ir_node_new(ir_graph *g, ir_op op, ir_node *const *in, int nin, ir_type type);
/* Region of a region operator becomes its property. */
void ir_set_region(ir_node *n, ir_graph *region);
void ir_unlink(ir_node *n);                                     /* out of its list; the memory stays with the module */
void ir_append(ir_graph *g, ir_node *n);                        /* an unlinked node, at the end of any graph */
void ir_move_before(ir_node *n, ir_node *before);               /* NULL: to the end */
void ir_replace_uses(ir_graph *g, ir_node *old, ir_node *with); /* in operands and results of g; regions are isolated */
int32_t ir_number(ir_graph *g);                       /* inputs first, then nodes in order; returns how many */
bool ir_is_used(const ir_graph *g, const ir_node *n); /* by an operand or a result of g */
void ir_drop_unused(ir_graph *g);                     /* unlink what neither a result nor an effect needs */
/* n, then what stands inside it, however deep, each node before what it has inside; NULL after the last of them:
 *     for (ir_node *x = n; x; x = ir_inside(n, x)) */
ir_node *ir_inside(const ir_node *n, const ir_node *x);
bool ir_has_effect(const ir_node *n); /* itself or inside */
/* A copy of n at g's cursor, operands replaced through map (map[old->id], where not NULL). Its region is copied too. */
ir_node *ir_clone_node(ir_graph *g, const ir_node *n, ir_node **map);
/* A copy of a whole function under a new name, at the end of the module; of a region (new_name NULL), unattached. */
ir_graph *ir_clone_graph(const ir_graph *g, const char *new_name);
/* The value that is result 'index' of region operator n: n itself or a `result` node at g's cursor. */
ir_node *ir_region_result(ir_node *n, int index);
const ir_node *ir_memory(const ir_node *n);          /* the value whose memory n is: a reshape is a view */
const ir_symbol *ir_memory_symbol(const ir_node *n); /* the param or state whose memory n is, or NULL */

/* Attributes of a node; the getters with a default allow absence, the others call ir_bug. */
void ir_set_word(ir_node *n, const char *name, const char *word);
void ir_set_ints(ir_node *n, const char *name, const int64_t *v, int count);
void ir_set_numbers(ir_node *n, const char *name, const double *v, int count);
void ir_set_int(ir_node *n, const char *name, int64_t v);
const char *ir_word(const ir_node *n, const char *name);
bool ir_word_is(const ir_node *n, const char *name, const char *word); /* false if absent */
int64_t ir_int(const ir_node *n, const char *name, int64_t fallback);
int ir_ints(const ir_node *n, const char *name, int64_t out[IR_MAX_RANK]); /* how many; 0 if absent */
bool ir_in_list(const int64_t *list, int count, int64_t x);

/* ---- rules ---- */

/* Infer n's type from operands and attributes; for OP_TYPED operators check the type it has. False after an error. */
bool ir_infer(ir_node *n, diag *d);

typedef bool infer_rule(const ir_node *n, ir_type *type, diag *d); /* *type: in, the stated type; out, the inferred */
extern infer_rule *const ir_infer_rules[IR_NOPS];
#define OP(ID, name, ...) infer_rule infer_##name;
#include "ir/ops.def"

/* The rules of the IR, all of them, for the whole module (see verify.c's head). False after errors. */
bool ir_verify(const ir_module *m, diag *d);

/* ---- text ---- */

void ir_print(const ir_module *m, bool locations, text *out);
void ir_print_graph(const ir_graph *g, bool locations, text *out);
/* A module from its text; NULL after errors. 'file' names the text in messages and is copied. */
ir_module *ir_parse(const char *source, const char *file, diag *d);

#endif
