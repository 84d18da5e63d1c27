/*
 * User-mode Linux 6.1 keeps the extended processor state of its processes in a buffer of fixed size, which is
 * smaller than what processors with AMX have. The kernel gives a part of that state (PTRACE_GETREGSET), but
 * takes the whole of it only (PTRACE_SETREGSET): there the guest ends before its first process starts.
 *
 * Loaded into linux.uml with LD_PRELOAD, this completes what is set with what the process has.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <elf.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>

#define XSTATE_MAX 65536

typedef long (*ptrace_t)(enum __ptrace_request, pid_t, void *, void *);

long ptrace(enum __ptrace_request request, ...)
{
	static ptrace_t next;
	static char whole[XSTATE_MAX];
	struct iovec state = {.iov_base = whole, .iov_len = sizeof(whole)};
	const struct iovec *part;
	va_list arguments;
	void *address, *data;
	pid_t pid;

	va_start(arguments, request);
	pid = va_arg(arguments, pid_t);
	address = va_arg(arguments, void *);
	data = va_arg(arguments, void *);
	va_end(arguments);
	if (next == NULL) {
		next = (ptrace_t)dlsym(RTLD_NEXT, "ptrace");
	}
	part = data;
	if (request == PTRACE_SETREGSET && address == (void *)NT_X86_XSTATE &&
	    next(PTRACE_GETREGSET, pid, address, &state) == 0 && state.iov_len > part->iov_len) {
		memcpy(whole, part->iov_base, part->iov_len);
		data = &state;
	}
	return next(request, pid, address, data);
}
