/* Shared by exec.c (planning) and exec_load.c (loading). */
#ifndef BAILEY_KEEP_EXEC_INTERNAL_H
#define BAILEY_KEEP_EXEC_INTERNAL_H

#include "sandbox/keep/task/elf.h"
#include "sandbox/keep/task/exec.h"
#include "sandbox/keep/task/strvec.h"
#include "sandbox/keep/fs/vfs.h"

struct cred;
struct file;

struct exec_plan {
    struct file *file, *interp_file; /* the images; interp_file NULL: none */
    struct dentry *exe;
    struct elf_image image, interp;
    struct strvec args, env;
    char filename[4096]; /* AT_EXECFN */
    char comm[16];
    struct cred *cred; /* after the exec */
    bool secure;
    bool by_guest; /* who asked for it, by GATE_EXEC */
    bool grown;    /* the gate was told to grow its stack */
};

/* Bytes that args, env, auxv and their strings take on the new stack. */
size_t exec_stack_size(const struct exec_plan *p);

#endif
