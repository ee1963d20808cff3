/* examples/pipeline/processes.c - two stages in two processes, joined by a pair of sockets: processes DIRECTORY
 *
 * DIRECTORY has the libraries that threads.c reads. The parent has the first stage, its child the last; each opens both
 * libraries, for their descriptions, and has the memory of its own stage alone. A parcel goes over the socket as a
 * header and its bytes; a thread at each end takes what arrives, so that both sides may send at a time. At the end the
 * child writes what it has learned to a pipe, and the parent saves DIRECTORY/processes.safetensors. */
#include "both.h"
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- bytes ---- */

static bool write_all(int fd, const void *data, size_t bytes)
{
    for (const char *p = data; bytes > 0;) {
        ssize_t n = write(fd, p, bytes);
        if (n <= 0)
            return false;
        p += n;
        bytes -= (size_t)n;
    }
    return true;
}

static bool read_all(int fd, void *data, size_t bytes)
{
    for (char *p = data; bytes > 0;) {
        ssize_t n = read(fd, p, bytes);
        if (n <= 0)
            return false;
        p += n;
        bytes -= (size_t)n;
    }
    return true;
}

/* ---- values between the stages ---- */

typedef struct {
    int64_t value, step, micro_batch, bytes;
} header;

enum { GOODBYE = -1 }; /* in place of a value */

typedef struct {
    lamina_pipeline *pipeline;
    int socket;
} line;

static lamina_status send_parcel(void *user, const lamina_parcel *p, lamina_error *e)
{
    const line *l = user;
    const header h = {p->value, p->step, p->micro_batch, (int64_t)p->bytes};
    if (write_all(l->socket, &h, sizeof h) && write_all(l->socket, p->data, p->bytes))
        return LAMINA_OK;
    snprintf(e->text, sizeof e->text, "the other stage is gone");
    return e->status = LAMINA_IO;
}

/* Until the other side says that it has all. */
static void *receive(void *user)
{
    const line *l = user;
    header h;
    lamina_error e = {.text = "the other stage is gone"};
    size_t most = lamina_pipeline_parcel_bytes(l->pipeline);
    void *data = malloc(most);
    lamina_status s = LAMINA_OK;
    while (data && !s && read_all(l->socket, &h, sizeof h)) {
        if (h.value == GOODBYE) {
            free(data);
            return NULL;
        }
        const lamina_parcel p = {.value = (int32_t)h.value,
                                 .step = h.step,
                                 .micro_batch = h.micro_batch,
                                 .data = data,
                                 .bytes = (size_t)h.bytes};
        if (h.bytes < 0 || p.bytes > most || !read_all(l->socket, data, p.bytes))
            break;
        s = lamina_pipeline_deliver(l->pipeline, &p, &e);
    }
    lamina_pipeline_stop(l->pipeline, e.text);
    free(data);
    return NULL;
}

/* ---- one side ---- */

/* Train the stage of that number; *out has it afterwards. */
static lamina_status train_side(const lamina_net *const *net, int stage, int socket, lamina_pipeline **out,
                                lamina_error *e)
{
    line l = {.socket = socket};
    pthread_t thread;
    const lamina_pipeline_options options = {
        .micro_batch = MICRO_BATCH, .first = stage, .here = 1, .send = send_parcel, .user = &l};
    lamina_status s = lamina_pipeline_new(net, STAGES, &options, &l.pipeline, e);
    if (!s && !pthread_create(&thread, NULL, receive, &l)) {
        const header goodbye = {.value = GOODBYE};
        s = train(l.pipeline, e);
        if (s || !write_all(socket, &goodbye, sizeof goodbye))
            shutdown(socket, SHUT_RDWR);
        pthread_join(thread, NULL);
    }
    *out = l.pipeline;
    return s;
}

/* ---- what was learned, from the child to its parent ---- */

/* Each tensor of the last stage, plain, in order. */
static lamina_status give(lamina_model *m, int fd, lamina_error *e)
{
    const lamina_net *net = lamina_model_net(m);
    lamina_status s = LAMINA_OK;
    for (int32_t i = 0; !s && i < net->tensor_count; i++) {
        const lamina_tensor *t = &net->tensors[i];
        void *plain = malloc(t->bytes);
        s = plain ? lamina_get_tensor(m, t->name, plain, t->bytes, e) : LAMINA_NO_MEMORY;
        s = s || write_all(fd, plain, t->bytes) ? s : LAMINA_IO;
        free(plain);
    }
    return s;
}

static lamina_status take(lamina_model *whole, const lamina_net *stage, int fd, lamina_error *e)
{
    lamina_status s = LAMINA_OK;
    for (int32_t i = 0; !s && i < stage->tensor_count; i++) {
        const lamina_tensor *t = &stage->tensors[i];
        void *plain = malloc(t->bytes);
        s = plain && read_all(fd, plain, t->bytes) ? lamina_set_tensor(whole, t->name, plain, t->bytes, e) : LAMINA_IO;
        free(plain);
    }
    return s;
}

static lamina_status save(lamina_pipeline *p, const lamina_net *const *net, int from, const char *directory,
                          lamina_error *e)
{
    char path[1024];
    lamina_model *whole = NULL;
    lamina_status s = lamina_model_new(net[STAGES], NULL, &whole, e);
    s = s ? s : lamina_copy_tensors(whole, lamina_pipeline_model(p, FIRST), e);
    s = s ? s : take(whole, net[LAST], from, e);
    snprintf(path, sizeof path, "%s/processes.safetensors", directory);
    s = s ? s : lamina_save_weights(whole, path, e);
    lamina_model_free(whole);
    return s;
}

/* ---- both ---- */

static int run(int stage, int socket, int results, const char *directory)
{
    lamina_error e = {.text = "the other stage is gone"};
    lamina_library *library[STAGES + 1] = {NULL};
    const lamina_net *net[STAGES + 1] = {NULL};
    lamina_pipeline *p = NULL;
    lamina_status s = open_all(directory, library, net, &e);
    s = s ? s : train_side(net, stage, socket, &p, &e);
    if (!s)
        s = stage == FIRST ? save(p, net, results, directory, &e) : give(lamina_pipeline_model(p, LAST), results, &e);
    if (s)
        fprintf(stderr, "processes: stage %s: %s\n", names[stage], e.text);
    lamina_pipeline_free(p);
    for (int i = 0; i <= STAGES; i++)
        lamina_library_free(library[i]);
    return s != LAMINA_OK;
}

int main(int argc, char **argv)
{
    int ends[2], results[2], status = 0;
    if (argc != 2) {
        fprintf(stderr, "usage: processes DIRECTORY\n");
        return 2;
    }
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) || pipe(results)) {
        perror("processes");
        return 1;
    }
    signal(SIGPIPE, SIG_IGN); /* a side that is gone is an error of the write */
    pid_t child = fork();     /* before there is any thread */
    if (child == 0) {
        close(ends[0]);
        close(results[0]);
        return run(LAST, ends[1], results[1], argv[1]);
    }
    close(ends[1]);
    close(results[1]);
    int code = child < 0 ? 1 : run(FIRST, ends[0], results[0], argv[1]);
    if (child > 0 && waitpid(child, &status, 0) == child && !(WIFEXITED(status) && WEXITSTATUS(status) == 0))
        code = 1;
    return code;
}
