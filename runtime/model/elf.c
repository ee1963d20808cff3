/* runtime/model/elf.c - a look at a shared object before the dynamic loader maps it.
 *
 *     ELF header -> program headers: what is mapped, each within the file
 *                -> section headers, which linkers put last: a file that was cut lacks some of them
 *     seal: a checksum of all before it, behind what linkers make, where the file was not rewritten since */
#include "runtime/model/elf.h"
#include "runtime/base/error.h"
#include "runtime/base/file.h"
#include <inttypes.h>
#include <link.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#if defined(__x86_64__)
enum { MACHINE = EM_X86_64 };
#elif defined(__aarch64__)
enum { MACHINE = EM_AARCH64 };
#else
enum { MACHINE = EM_NONE }; /* any */
#endif

enum { MOST_SEGMENTS = 64 }; /* of any library that linkers make: about ten */

static bool is_header(const ElfW(Ehdr) * h)
{
    const unsigned char wanted[EI_VERSION + 1] = {
        ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32, ELFDATA2LSB, EV_CURRENT};
    return memcmp(h->e_ident, wanted, sizeof wanted) == 0 && h->e_type == ET_DYN &&
           (MACHINE == EM_NONE || h->e_machine == MACHINE) && h->e_phentsize == sizeof(ElfW(Phdr)) && h->e_phnum > 0 &&
           h->e_phnum <= MOST_SEGMENTS;
}

/* 'count' things of 'size' bytes from 'at' on end within the file. */
static bool within(uint64_t at, uint64_t count, uint64_t size, uint64_t file)
{
    return at <= file && count * size <= file - at; /* 16 bits times 16, or 64 times 1 */
}

static bool are_whole(const ElfW(Phdr) * p, int count, uint64_t file)
{
    for (int i = 0; i < count; i++)
        if (!within(p[i].p_offset, p[i].p_filesz, 1, file))
            return false;
    return true;
}

static lamina_status check(int fd, const char *path, uint64_t file, lamina_error *e)
{
    ElfW(Ehdr) h;
    ElfW(Phdr) segment[MOST_SEGMENTS];
    if (pread(fd, &h, sizeof h, 0) != (ssize_t)sizeof h || !is_header(&h))
        return lamina_fail(e, LAMINA_BAD_FILE, "%s: not a compiled network: expected a shared object for this machine",
                           path);
    size_t bytes = h.e_phnum * sizeof *segment;
    if (!within(h.e_phoff, bytes, 1, file) || pread(fd, segment, bytes, (off_t)h.e_phoff) != (ssize_t)bytes ||
        !are_whole(segment, h.e_phnum, file) || !within(h.e_shoff, h.e_shnum, h.e_shentsize, file))
        return lamina_fail(e, LAMINA_BAD_FILE,
                           "%s: truncated: the library's parts do not all lie within its %" PRIu64 " bytes", path,
                           file);
    return LAMINA_OK;
}

/* The CRC-32 of the first bytes of a file; false if it became shorter. */
static bool checksum(int fd, uint64_t bytes, uLong *crc)
{
    unsigned char some[1 << 14];
    *crc = crc32_z(0, NULL, 0);
    for (uint64_t at = 0; at < bytes;) {
        uint64_t left = bytes - at;
        ssize_t n = pread(fd, some, left < sizeof some ? left : sizeof some, (off_t)at);
        if (n <= 0)
            return false;
        *crc = crc32_z(*crc, some, (size_t)n);
        at += (uint64_t)n;
    }
    return true;
}

static lamina_status check_seal(int fd, const char *path, uint64_t file, lamina_error *e)
{
    unsigned char end[LAMINA_SEAL_BYTES];
    uLong wanted = 0, found = 0;
    if (file < sizeof end || pread(fd, end, sizeof end, (off_t)(file - sizeof end)) != (ssize_t)sizeof end ||
        memcmp(end, LAMINA_SEAL, LAMINA_SEAL_WORD) != 0)
        return LAMINA_OK;
    for (int i = 0; i < 4; i++)
        wanted |= (uLong)end[LAMINA_SEAL_WORD + i] << (8 * i);
    if (checksum(fd, file - 4, &found) && found == wanted)
        return LAMINA_OK;
    return lamina_fail(e, LAMINA_BAD_FILE,
                       "%s: damaged, or changed since it was linked: expected the checksum %08lx, found %08lx; "
                       "recompile it with 'lamina compile'",
                       path, wanted, found);
}

lamina_status lamina_elf_check(const char *path, lamina_error *e)
{
    int fd;
    uint64_t bytes;
    lamina_status s = lamina_open_regular(path, &fd, &bytes, e);
    if (s)
        return s;
    s = check(fd, path, bytes, e);
    s = s ? s : check_seal(fd, path, bytes, e);
    close(fd);
    return s;
}
