/* backend/library/descriptor.c - the constant lamina_net, which describes the network to the runtime, and its query
 * function.
 *
 * The struct is laid out field by field. The finished LLVM struct is compared with the ABI's table (abi.h), and that
 * table with the C structs, so the compiler and the runtime cannot come to differ unseen. Nothing here is writable:
 * constants with pointers in them lie in .data.rel.ro, which the loader protects. */
#include "backend/module.h"
#include "backend/target.h"
#include "runtime/lamina_abi.h"
#include <string.h>

#ifndef LAMINA_VERSION
#define LAMINA_VERSION "0.1"
#endif

_Static_assert((int)LAMINA_F32 == (int)IR_F32 && (int)LAMINA_F64 == (int)IR_F64 && (int)LAMINA_I32 == (int)IR_I32 &&
                   (int)LAMINA_I64 == (int)IR_I64 && (int)LAMINA_UI32 == (int)IR_UI32 &&
                   (int)LAMINA_UI8 == (int)IR_UI8 && (int)LAMINA_I1 == (int)IR_I1,
               "the ABI's element types are the IR's");
_Static_assert((int)LAMINA_MAX_RANK == (int)IR_MAX_RANK, "the ABI's rank is the IR's");

/* ---- constants of C structs ---- */

enum { MOST_FIELDS = 64 };

typedef struct {
    LLVMValueRef value[MOST_FIELDS];
    abi_place field[MOST_FIELDS];
    unsigned count;
} record;

static void add_field(record *r, abi_place field, LLVMValueRef value)
{
    if (r->count == MOST_FIELDS)
        ir_bug("a struct of more than %d fields", MOST_FIELDS);
    r->value[r->count] = value;
    r->field[r->count++] = field;
}

#define FIELD(r, type, name, value) add_field(r, ABI(type, name), value)

static LLVMValueRef finish(emitter *e, record *r, abi_place end)
{
    LLVMValueRef all = LLVMConstStructInContext(e->context, r->value, r->count, 0);
    LLVMTypeRef type = LLVMTypeOf(all);
    for (unsigned i = 0; i < r->count; i++) {
        unsigned long long at = LLVMOffsetOfElement(e->data, type, i);
        if (at != emit_place(e, r->field[i]))
            ir_bug("field %u of a struct lies at %llu, in C at %zu", i, at, emit_place(e, r->field[i]));
    }
    if (LLVMABISizeOfType(e->data, type) != emit_place(e, end))
        ir_bug("a struct of %llu bytes has %zu in C", LLVMABISizeOfType(e->data, type), emit_place(e, end));
    return all;
}

static LLVMValueRef string(emitter *e, const char *s)
{
    return emit_constant_global(e, "", LLVMConstStringInContext(e->context, s, (unsigned)strlen(s), 0));
}

static LLVMValueRef real(emitter *e, double x)
{
    return emit_number(e, IR_F64, 1, x);
}

static LLVMValueRef null_pointer(emitter *e)
{
    return LLVMConstPointerNull(e->pointer);
}

/* A constant array's address; NULL for an empty one. */
static LLVMValueRef table(emitter *e, const char *name, LLVMValueRef *rows, int count)
{
    if (count == 0)
        return null_pointer(e);
    return emit_constant_global(e, name, LLVMConstArray(LLVMTypeOf(rows[0]), rows, (unsigned)count));
}

/* ---- tensors ---- */

static int init_kind(const ir_attr *attrs)
{
    static const char *const names[] = {[LAMINA_INIT_NONE] = "none",
                                        [LAMINA_INIT_CONSTANT] = "constant",
                                        [LAMINA_INIT_UNIFORM] = "uniform",
                                        [LAMINA_INIT_NORMAL] = "normal",
                                        [LAMINA_INIT_TRUNCATED_NORMAL] = "truncated_normal",
                                        [LAMINA_INIT_SEED] = "seed",
                                        [LAMINA_INIT_IDENTITY] = "identity",
                                        [LAMINA_INIT_DATA_MEAN] = "data_mean",
                                        [LAMINA_INIT_DATA_DEVIATION] = "data_deviation",
                                        [LAMINA_INIT_DATA_MINIMUM] = "data_minimum",
                                        [LAMINA_INIT_DATA_RANGE] = "data_range",
                                        [LAMINA_INIT_DATA_MEDIAN] = "data_median",
                                        [LAMINA_INIT_ORTHOGONAL] = "orthogonal"};
    const char *word = be_module_word(attrs, "init", "constant"); /* a = 0: states start from zero */
    for (int i = 0; i < (int)(sizeof names / sizeof *names); i++)
        if (strcmp(names[i], word) == 0)
            return i;
    ir_bug("no initialiser is called %s", word);
}

typedef struct {
    const char *name;
    int kind, init;
    const ir_type *type;
    int64_t offset;
    const ir_attr *attrs;
} tensor_row;

static LLVMValueRef tensor(emitter *e, const tensor_row *row)
{
    const ir_type *t = row->type;
    LLVMValueRef dim[LAMINA_MAX_RANK];
    for (int i = 0; i < LAMINA_MAX_RANK; i++)
        dim[i] = emit_i64(e, i < t->rank ? t->dim[i].n : 0);
    record r = {.count = 0};
    FIELD(&r, lamina_tensor, name, string(e, row->name));
    FIELD(&r, lamina_tensor, kind, emit_i32(e, row->kind));
    FIELD(&r, lamina_tensor, dtype, emit_i32(e, t->dtype));
    FIELD(&r, lamina_tensor, rank, emit_i32(e, t->rank));
    FIELD(&r, lamina_tensor, batch_dim, emit_i32(e, ir_batch_dim(t)));
    FIELD(&r, lamina_tensor, dim, LLVMConstArray(e->i64, dim, LAMINA_MAX_RANK));
    FIELD(&r, lamina_tensor, bytes, emit_i64(e, ir_static_count(t) * ir_dtype_size(t->dtype)));
    FIELD(&r, lamina_tensor, offset, emit_i64(e, row->offset));
    FIELD(&r, lamina_tensor, init, emit_i32(e, row->init));
    FIELD(&r, lamina_tensor, stream, emit_i32(e, be_module_number(row->attrs, "stream", 0)));
    FIELD(&r, lamina_tensor, init_a, real(e, be_module_real(row->attrs, "a", 0)));
    FIELD(&r, lamina_tensor, init_b, real(e, be_module_real(row->attrs, "b", 0)));
    return finish(e, &r, ABI_SIZE(lamina_tensor));
}

static LLVMValueRef symbol_table(library *l)
{
    const be_interface *f = l->interface;
    LLVMValueRef *rows = arena_new_array(l->mem, LLVMValueRef, (size_t)f->tensor_count);
    for (int i = 0; i < f->tensor_count; i++) {
        const ir_symbol *s = f->tensors[i];
        int kind = i < f->param_count ? LAMINA_TENSOR_PARAM : LAMINA_TENSOR_STATE;
        tensor_row row = {s->name, kind, init_kind(s->attrs), &s->type, s->place.offset, s->attrs};
        rows[i] = tensor(&l->e, &row);
    }
    return table(&l->e, "lamina.tensors", rows, f->tensor_count);
}

static LLVMValueRef value_table(library *l, const char *name, int kind, const be_value *values, int count)
{
    LLVMValueRef *rows = arena_new_array(l->mem, LLVMValueRef, (size_t)count);
    for (int i = 0; i < count; i++) {
        tensor_row row = {values[i].name, kind, LAMINA_INIT_NONE, &values[i].type, i, NULL};
        rows[i] = tensor(&l->e, &row);
    }
    return table(&l->e, name, rows, count);
}

/* ---- rows ---- */

static int count_rows(const ir_module *m, const char *kind)
{
    int count = 0;
    for (const ir_row *r = m->rows; r; r = r->next)
        count += strcmp(r->kind, kind) == 0;
    return count;
}

/* A function of a stage; that of a stage alone has no more than the part's name. */
static const char *stage_function(const ir_module *m, arena *mem, const char *stage, const char *part)
{
    return be_is_stage(m) ? part : arena_printf(mem, "%s.%s", stage, part);
}

/* Stages count only where `split` made their functions. */
static int count_stages(const ir_module *m, arena *mem)
{
    const ir_row *first = ir_row_find(m, "stage", NULL);
    bool split = first && ir_function_find(m, stage_function(m, mem, first->name, "forward"));
    return split ? count_rows(m, "stage") : 0;
}

/* The number of the state, output or input that an attribute of a metric names. */
static int reference(const be_interface *f, const ir_row *r, const char *which,
                     int (*index_of)(const be_interface *, const char *))
{
    const char *name = be_module_word(r->attrs, which, "");
    int index = index_of(f, name);
    if (index < 0)
        ir_bug("metric %s: nothing is called '%s'", r->name, name);
    return index;
}

static int metric_kind(const ir_row *row)
{
    static const char *const formulas[] = {[LAMINA_METRIC_MEAN] = "mean",
                                           [LAMINA_METRIC_ROOT_MEAN] = "root_mean",
                                           [LAMINA_METRIC_R2] = "r2",
                                           [LAMINA_METRIC_PRECISION] = "precision",
                                           [LAMINA_METRIC_RECALL] = "recall",
                                           [LAMINA_METRIC_F1] = "f1",
                                           [LAMINA_METRIC_IOU] = "iou",
                                           [LAMINA_METRIC_CONFUSION_MATRIX] = "confusion_matrix",
                                           [LAMINA_METRIC_MATTHEWS] = "matthews",
                                           [LAMINA_METRIC_COHEN_KAPPA] = "cohen_kappa",
                                           [LAMINA_METRIC_AUC] = "auc",
                                           [LAMINA_METRIC_AVERAGE_PRECISION] = "average_precision"};
    static const char *const averages[] = {"", "macro", "micro", "weighted", "none"};
    const char *formula = be_module_word(row->attrs, "kind", "mean"),
               *average = be_module_word(row->attrs, "average", "");
    int kind = 0, how = 0;
    while (!formulas[kind] || strcmp(formulas[kind], formula) != 0)
        if (++kind == (int)(sizeof formulas / sizeof *formulas))
            ir_bug("metric %s: no kind is called %s", row->name, formula);
    while (strcmp(averages[how], average) != 0)
        how++; /* the verifier knows no others */
    return kind + how * LAMINA_METRIC_MACRO;
}

static LLVMValueRef metric(library *l, const ir_row *row)
{
    emitter *e = &l->e;
    const be_interface *f = l->interface;
    bool scores = ir_attr_find(row->attrs, "scores");
    int sum = scores ? reference(f, row, "scores", be_output_index) : reference(f, row, "sum", be_tensor_index);
    int count = scores ? reference(f, row, "labels", be_input_index) : reference(f, row, "count", be_tensor_index);
    record r = {.count = 0};
    FIELD(&r, lamina_metric, name, string(e, row->name));
    FIELD(&r, lamina_metric, kind, emit_i32(e, metric_kind(row)));
    FIELD(&r, lamina_metric, sum, emit_i32(e, sum));
    FIELD(&r, lamina_metric, count, emit_i32(e, count));
    FIELD(&r, lamina_metric, higher_is_better, emit_i32(e, be_module_number(row->attrs, "higher_is_better", 0)));
    return finish(e, &r, ABI_SIZE(lamina_metric));
}

static LLVMValueRef function_or_null(library *l, const char *name)
{
    LLVMValueRef f = LLVMGetNamedFunction(l->e.module, be_function_symbol(l->interface, l->mem, name));
    return f ? f : null_pointer(&l->e);
}

static LLVMValueRef stage(library *l, const ir_row *row)
{
    static const struct {
        const char *name;
        abi_place field;
    } parts[] = {{"forward", ABI(lamina_stage, forward)},
                 {"backward", ABI(lamina_stage, backward)},
                 {"update", ABI(lamina_stage, update)},
                 {"backward_update", ABI(lamina_stage, backward_update)}};
    record r = {.count = 0};
    FIELD(&r, lamina_stage, name, string(&l->e, row->name));
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        add_field(&r, parts[i].field, function_or_null(l, stage_function(l->module, l->mem, row->name, parts[i].name)));
    return finish(&l->e, &r, ABI_SIZE(lamina_stage));
}

typedef LLVMValueRef row_rule(library *l, const ir_row *row);

static LLVMValueRef row_table(library *l, const char *kind, const char *name, row_rule *rule)
{
    LLVMValueRef *rows = arena_new_array(l->mem, LLVMValueRef, (size_t)count_rows(l->module, kind));
    int count = 0;
    for (const ir_row *r = l->module->rows; r; r = r->next)
        if (strcmp(r->kind, kind) == 0)
            rows[count++] = rule(l, r);
    return table(&l->e, name, rows, count);
}

/* ---- the learning rate ---- */

#define RATE(ID, name, numbers) LAMINA_RATE_##ID,
static const int rate_kinds[] = {
#include "ir/rates.def"
};

static bool counts_epochs(const ir_row *row, const char *attr)
{
    return row && strcmp(be_module_word(row->attrs, attr, "steps"), "epochs") == 0;
}

static double *schedule_numbers(library *l, const ir_row *row, int *count)
{
    double *numbers = arena_new_array(l->mem, double, (size_t)ir_rate_numbers(row, NULL) + 1);
    *count = ir_rate_numbers(row, numbers);
    return numbers;
}

/* The first number of a schedule's kind is the rate that multiples are named by. */
static LLVMValueRef rate(library *l)
{
    emitter *e = &l->e;
    const ir_row *row = ir_row_find(l->module, "rate", NULL);
    int count, units = counts_epochs(row, "unit") ? LAMINA_RATE_IN_EPOCHS : 0;
    const double *numbers = schedule_numbers(l, row, &count);
    units |= counts_epochs(row, "warmup_unit") ? LAMINA_RATE_WARMUP_IN_EPOCHS : 0;
    record r = {.count = 0};
    FIELD(&r, lamina_rate, kind, emit_i32(e, rate_kinds[ir_rate_kind(row)]));
    FIELD(&r, lamina_rate, units, emit_i32(e, units));
    FIELD(&r, lamina_rate, a, real(e, count ? numbers[2] : row ? be_module_real(row->attrs, "a", 0) : 0));
    FIELD(&r, lamina_rate, b, real(e, 0));
    FIELD(&r, lamina_rate, c, real(e, 0));
    FIELD(&r, lamina_rate, d, real(e, 0));
    return finish(e, &r, ABI_SIZE(lamina_rate));
}

static void add_schedule(library *l, record *r)
{
    int count;
    const double *numbers = schedule_numbers(l, ir_row_find(l->module, "rate", NULL), &count);
    LLVMValueRef *values = arena_new_array(l->mem, LLVMValueRef, (size_t)count + 1);
    for (int i = 0; i < count; i++)
        values[i] = real(&l->e, numbers[i]);
    FIELD(r, lamina_net, rate_numbers, table(&l->e, "lamina.rate", values, count));
    FIELD(r, lamina_net, rate_count, emit_i64(&l->e, count));
}

/* ---- the descriptor ---- */

static void add_names(library *l, record *r)
{
    emitter *e = &l->e;
    FIELD(r, lamina_net, struct_size, emit_i64(e, (int64_t)emit_place(e, ABI_SIZE(lamina_net))));
    FIELD(r, lamina_net, abi_major, emit_i32(e, LAMINA_ABI_MAJOR));
    FIELD(r, lamina_net, abi_minor, emit_i32(e, LAMINA_ABI_MINOR));
    FIELD(r, lamina_net, name, string(e, l->module->name));
    FIELD(r, lamina_net, hash, string(e, l->interface->hash));
    FIELD(r, lamina_net, compiler, string(e, "lamina " LAMINA_VERSION));
    FIELD(r, lamina_net, cpu, string(e, e->target->cpu));
    FIELD(r, lamina_net, features, string(e, be_target_needs(e->target)));
}

static void add_sizes(library *l, record *r)
{
    emitter *e = &l->e;
    const be_interface *f = l->interface;
    FIELD(r, lamina_net, max_batch, emit_i64(e, f->max_batch));
    FIELD(r, lamina_net, params_bytes, emit_i64(e, f->params_bytes));
    FIELD(r, lamina_net, state_bytes, emit_i64(e, f->state_bytes));
    FIELD(r, lamina_net, gradient_bytes, emit_i64(e, f->gradient_bytes));
    FIELD(r, lamina_net, saved_bytes, emit_i64(e, f->saved_bytes));
    FIELD(r, lamina_net, workspace_bytes, emit_i64(e, f->workspace_bytes));
    FIELD(r, lamina_net, workspace_worker_bytes, emit_i64(e, f->workspace_worker_bytes));
    FIELD(r, lamina_net, tensor_count, emit_i32(e, f->tensor_count));
    FIELD(r, lamina_net, param_count, emit_i32(e, f->param_count));
    FIELD(r, lamina_net, input_count, emit_i32(e, f->input_count));
    FIELD(r, lamina_net, output_count, emit_i32(e, f->output_count));
    FIELD(r, lamina_net, metric_count, emit_i32(e, count_rows(l->module, "metric")));
    FIELD(r, lamina_net, stage_count, emit_i32(e, count_stages(l->module, l->mem)));
}

static void add_tables(library *l, record *r)
{
    const be_interface *f = l->interface;
    FIELD(r, lamina_net, tensors, symbol_table(l));
    FIELD(r, lamina_net, inputs, value_table(l, "lamina.inputs", LAMINA_TENSOR_INPUT, f->inputs, f->input_count));
    FIELD(r, lamina_net, outputs, value_table(l, "lamina.outputs", LAMINA_TENSOR_OUTPUT, f->outputs, f->output_count));
    FIELD(r, lamina_net, metrics, row_table(l, "metric", "lamina.metrics", metric));
    FIELD(r, lamina_net, stages, row_table(l, "stage", "lamina.stages", stage));
    FIELD(r, lamina_net, rate, rate(l));
}

static void add_functions(library *l, record *r, LLVMValueRef import, LLVMValueRef export)
{
    FIELD(r, lamina_net, infer, function_or_null(l, "infer"));
    FIELD(r, lamina_net, evaluate, function_or_null(l, "evaluate"));
    FIELD(r, lamina_net, train_step, function_or_null(l, "train_step"));
    FIELD(r, lamina_net, gradients, function_or_null(l, "gradients"));
    FIELD(r, lamina_net, update, function_or_null(l, "update"));
    FIELD(r, lamina_net, import_weights, import);
    FIELD(r, lamina_net, export_weights, export);
    int64_t needs = be_module_takes_field(l->module, "sgemm") ? LAMINA_NEEDS_SGEMM : 0;
    needs |= l->interface->gradient_bytes ? LAMINA_NEEDS_SUMS : 0;
    for (const ir_symbol *y = l->module->symbols; y; y = y->next) {
        int init = init_kind(y->attrs);
        needs |= init == LAMINA_INIT_IDENTITY ? LAMINA_NEEDS_IDENTITY : 0;
        needs |= init == LAMINA_INIT_ORTHOGONAL ? LAMINA_NEEDS_ORTHOGONAL : 0;
        needs |= init >= LAMINA_INIT_DATA_MEAN && init <= LAMINA_INIT_DATA_MEDIAN ? LAMINA_NEEDS_DATA : 0;
    }
    needs |= ir_rate_numbers(ir_row_find(l->module, "rate", NULL), NULL) ? LAMINA_NEEDS_SCHEDULE : 0;
    for (const ir_row *row = l->module->rows; row; row = row->next)
        needs |= strcmp(row->kind, "metric") == 0 && metric_kind(row) != LAMINA_METRIC_MEAN ? LAMINA_NEEDS_METRICS : 0;
    FIELD(r, lamina_net, needs, emit_i64(&l->e, needs));
}

static void add_inference_sizes(library *l, record *r)
{
    emitter *e = &l->e;
    const be_interface *f = l->interface;
    FIELD(r, lamina_net, inference_state_bytes, emit_i64(e, f->inference_state_bytes));
    FIELD(r, lamina_net, inference_workspace_bytes, emit_i64(e, f->inference_workspace_bytes));
    FIELD(r, lamina_net, inference_worker_bytes, emit_i64(e, f->inference_worker_bytes));
}

/* Of a stage alone: what its functions do with each input or output. */
static LLVMValueRef use_table(library *l, const char *kind, const be_value *values, int count, be_takes *has)
{
    emitter *e = &l->e;
    LLVMValueRef *rows = arena_new_array(l->mem, LLVMValueRef, (size_t)count);
    for (int i = 0; i < count; i++)
        rows[i] = emit_i32(e, be_stage_use(l->module, kind, values[i].name, has));
    return be_is_stage(l->module) ? table(e, "lamina.uses", rows, count) : null_pointer(e);
}

static void add_uses(library *l, record *r)
{
    const be_interface *f = l->interface;
    FIELD(r, lamina_net, input_use, use_table(l, "input", f->inputs, f->input_count, be_takes_input));
    FIELD(r, lamina_net, output_use, use_table(l, "output", f->outputs, f->output_count, be_gives_output));
}

/* The alias is weak so that archives of several nets go into one program. */
static void emit_query(library *l, LLVMValueRef net)
{
    emitter *e = &l->e;
    LLVMTypeRef type = LLVMFunctionType(e->pointer, &e->i32, 1, 0);
    LLVMValueRef query = emit_exported(l, "query", type);
    emit_function_begin(e, query, (src_loc){0});
    LLVMValueRef same = LLVMBuildICmp(e->builder, LLVMIntEQ, LLVMGetParam(query, 0), emit_i32(e, LAMINA_ABI_MAJOR), "");
    LLVMBuildRet(e->builder, LLVMBuildSelect(e->builder, same, net, null_pointer(e), ""));
    LLVMValueRef alias = LLVMAddAlias2(e->module, type, 0, query, "lamina_net_query");
    LLVMSetLinkage(alias, LLVMWeakAnyLinkage);
}

void emit_descriptor(library *l)
{
    LLVMValueRef import, export;
    emit_weights(l, &import, &export);
    record r = {.count = 0};
    add_names(l, &r);
    add_sizes(l, &r);
    add_tables(l, &r);
    add_functions(l, &r, import, export);
    add_inference_sizes(l, &r);
    add_uses(l, &r);
    add_schedule(l, &r);
    emit_query(l, emit_constant_global(&l->e, "lamina.net", finish(&l->e, &r, ABI_SIZE(lamina_net))));
}
