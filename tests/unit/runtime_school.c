/* tests/unit/runtime_school.c - see runtime_school.h. */
#include "tests/unit/runtime_school.h"

void make_school(school *c)
{
    const lamina_net *net = fake_net_query(LAMINA_ABI_MAJOR);
    memset(c, 0, sizeof *c);
    c->teacher = c->student = c->whole = *net;
    c->whole.name = "whole";
    c->student.name = "student";
    memcpy(c->inputs, net->inputs, sizeof c->inputs);
    memcpy(c->tensors, net->tensors, (size_t)net->tensor_count * sizeof *net->tensors);
    c->output = net->outputs[0];
    c->inputs[1].name = "prediction";
    c->output.name = "copy";
    c->tensors[0].name = "dense2.weight";
    c->tensors[1].name = "dense2.bias";
    c->student.inputs = c->inputs;
    c->student.tensors = c->tensors;
    c->student.outputs = &c->output;
    c->stages[0] = (lamina_stage_options){.name = "teacher", .net = &c->teacher, .fit = {.epochs = 2}};
    c->stages[1] = (lamina_stage_options){.name = "student", .net = &c->student};
}

lamina_status open_stages(school *c)
{
    lamina_status s = lamina_stages_new(&c->whole, c->stages, 2, NULL, &c->s, &error);
    return s ? s : lamina_stages_initialize(c->s, 1, &error);
}

void open_school(school *c)
{
    make_school(c);
    OK(open_stages(c));
    CU_ASSERT_PTR_NOT_NULL_FATAL(c->s);
    c->d = line_data(RECORDS);
}

void close_school(school *c)
{
    lamina_stages_free(c->s);
    lamina_dataset_free(c->d);
}
