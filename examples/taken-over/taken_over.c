// SPDX-License-Identifier: Apache-2.0
// What an exploit does that has taken over a running process: that very process is made to copy itself, and the copy
// makes the system calls of an attack. So whoever decides about these calls sees nothing but the process: its
// executable, its user, its domain. The process itself goes on with what it was doing.
//
//   taken_over PID ACT [WORD…]       says "done" or "refused CALL ERRNO"; status 0 or 1, 2 if the process cannot be
//   taken over
//
// Whoever runs this must be allowed to trace PID, as root is. For x86-64.
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/bpf.h>
#include <linux/io_uring.h>

static pid_t copy;		     // of the process, which does as it is told
static struct user_regs_struct calm; // its registers behind a `syscall` instruction
static uint64_t room;		     // the next free byte below its stack

static void give_up(const char *what)
{
	fprintf(stderr, "taken_over: %s: %s\n", what, strerror(errno));
	if (copy > 0)
		kill(copy, SIGKILL);
	exit(2);
}

static void finish(const char *said, int status)
{
	puts(said);
	kill(copy, SIGKILL);
	exit(status);
}

static int wait_for(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, __WALL) != pid)
		give_up("waitpid");
	return status;
}

static int event_of(int status)
{
	return status >> 16;
}

// Runs the `syscall` instruction that the process stands behind. Returns the result, or what became of it instead: a
// status of waitpid() in *other.
static long call_of(pid_t pid, const struct user_regs_struct *before, long number, const uint64_t words[6], int *other)
{
	struct user_regs_struct registers = *before;

	registers.rip -= 2;
	registers.rax = (uint64_t)number;
	registers.orig_rax = (uint64_t)-1; // no call that is to be started again
	registers.rdi = words[0];
	registers.rsi = words[1];
	registers.rdx = words[2];
	registers.r10 = words[3];
	registers.r8 = words[4];
	registers.r9 = words[5];
	if (ptrace(PTRACE_SETREGS, pid, 0, &registers) || ptrace(PTRACE_SINGLESTEP, pid, 0, 0))
		give_up("ptrace");
	*other = wait_for(pid);
	if (!WIFSTOPPED(*other))
		return -ESRCH;
	if (WSTOPSIG(*other) == SIGTRAP && event_of(*other) == 0)
		*other = 0;
	if (ptrace(PTRACE_GETREGS, pid, 0, &registers))
		give_up("ptrace");
	return (long)registers.rax;
}

// Makes the process copy itself, and lets it go.
static void take_over(pid_t pid)
{
	// Its parent is not told of its end: a server knows its own children.
	const uint64_t words[6] = {0};
	const long options = PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC;
	struct user_regs_struct before;
	unsigned long child = 0;
	int status;

	if (ptrace(PTRACE_SEIZE, pid, 0, options) || ptrace(PTRACE_INTERRUPT, pid, 0, 0))
		give_up("cannot trace it");
	wait_for(pid);
	if (ptrace(PTRACE_GETREGS, pid, 0, &before))
		give_up("ptrace");
	errno = 0;
	if ((ptrace(PTRACE_PEEKTEXT, pid, before.rip - 2, 0) & 0xffff) != 0x050f || errno) {
		errno = EBUSY;
		give_up("it does not wait in a system call");
	}
	call_of(pid, &before, SYS_clone, words, &status);
	if (event_of(status) != PTRACE_EVENT_CLONE || ptrace(PTRACE_GETEVENTMSG, pid, 0, &child))
		give_up("it cannot be copied");
	copy = (pid_t)child;
	wait_for(copy);
	// Behind the call, its registers are those of before, and it waits again.
	if (ptrace(PTRACE_SINGLESTEP, pid, 0, 0))
		give_up("ptrace");
	wait_for(pid);
	if (ptrace(PTRACE_SETREGS, pid, 0, &before) || ptrace(PTRACE_DETACH, pid, 0, 0))
		give_up("ptrace");
	if (ptrace(PTRACE_SETOPTIONS, copy, 0, options | PTRACE_O_EXITKILL) || ptrace(PTRACE_GETREGS, copy, 0, &calm))
		give_up("ptrace");
	room = calm.rsp - 256;
}

static void write_at(uint64_t place, const void *bytes, size_t size)
{
	struct iovec here = {(void *)(uintptr_t)bytes, size}, there = {(void *)(uintptr_t)place, size};

	if (process_vm_writev(copy, &here, 1, &there, 1, 0) != (ssize_t)size)
		give_up("process_vm_writev");
}

static void read_at(uint64_t place, void *bytes, size_t size)
{
	struct iovec here = {bytes, size}, there = {(void *)(uintptr_t)place, size};

	if (process_vm_readv(copy, &here, 1, &there, 1, 0) != (ssize_t)size)
		give_up("process_vm_readv");
}

// In the copy's memory.
static uint64_t bytes(const void *data, size_t size)
{
	room = (room - size) & ~15ULL;
	write_at(room, data, size);
	return room;
}

static uint64_t text(const char *word)
{
	return bytes(word, strlen(word) + 1);
}

// A system call of the copy. The attack ends with the first that is refused.
#define CALL(name, ...) call(#name, SYS_##name, (const uint64_t[6]){__VA_ARGS__})
static uint64_t call(const char *name, long number, const uint64_t words[6])
{
	char said[128];
	int other;
	const long result = call_of(copy, &calm, number, words, &other);

	if (event_of(other) == PTRACE_EVENT_EXEC)
		finish("done", 0);
	if (other)
		give_up(name);
	if (result >= 0 || result < -4095)
		return (uint64_t)result;
	snprintf(said, sizeof(said), "refused %s %s", name, strerrorname_np((int)-result));
	finish(said, 1);
	return 0;
}

// --- acts ------------------------------------------------------------------------------------------------------------

#define HERE ((uint64_t)AT_FDCWD)
static const char payload[] = "# written by an attacker\n";

// A program that ends with status 0: the header of a file, of its one segment, and eleven bytes of code.
static const unsigned char program[] =
	"\x7f"
	"ELF\2\1\1\0\0\0\0\0\0\0\0\0\2\0\x3e\0\1\0\0\0\x78\0\x40\0\0\0\0\0\x40\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
	"\0\0\0\0\x40\0\x38\0\1\0\0\0\0\0\0\0"
	"\1\0\0\0\5\0\0\0\0\0\0\0\0\0\0\0\0\0\x40\0\0\0\0\0\0\0\x40\0\0\0\0\0\x83\0\0\0\0\0\0\0\x83\0\0\0\0\0\0\0"
	"\0\x10\0\0\0\0\0\0"
	"\xb8\x3c\0\0\0\x31\xff\x0f\x05\xf4\xf4";

static uint64_t open_it(const char *path, uint64_t flags)
{
	return CALL(openat, HERE, text(path), flags, 0644);
}

static void write_file(char **word)
{
	const uint64_t file = open_it(word[0], O_WRONLY | O_CREAT);

	CALL(write, file, text(payload), sizeof(payload) - 1);
}

static void read_file(char **word)
{
	CALL(read, open_it(word[0], O_RDONLY), bytes(payload, sizeof(payload)), 1);
}

static void hard_link(char **word)
{
	CALL(linkat, HERE, text(word[0]), HERE, text(word[1]), 0);
	read_file(word + 1);
}

static void rename_onto(char **word)
{
	write_file(word);
	CALL(renameat, HERE, text(word[0]), HERE, text(word[1]));
}

static void bind_mount(char **word)
{
	char there[4096];
	char *path = there;

	CALL(unshare, CLONE_NEWUSER | CLONE_NEWNS);
	CALL(mount, text(word[0]), text(word[1]), 0, MS_BIND, 0);
	snprintf(there, sizeof(there), "%s/%s", word[1], word[2]);
	read_file(&path);
}

static void mount_tmpfs(char **word)
{
	CALL(mount, text("none"), text(word[0]), text("tmpfs"), 0, 0);
}

static void execute(char **word)
{
	const uint64_t name = text(word[0]);
	const uint64_t argv[] = {name, 0}, none[] = {0};

	CALL(execve, name, bytes(argv, sizeof(argv)), bytes(none, sizeof(none)));
}

static void execute_memory_file(char **word)
{
	const uint64_t file = CALL(memfd_create, text("m"), 0), empty = text("");
	const uint64_t argv[] = {empty, 0}, none[] = {0};

	(void)word;
	CALL(write, file, bytes(program, sizeof(program) - 1), sizeof(program) - 1);
	CALL(execveat, file, empty, bytes(argv, sizeof(argv)), bytes(none, sizeof(none)), AT_EMPTY_PATH);
}

static void execute_memory(char **word)
{
	const unsigned char code[] = {0xb8, 0x2a, 0, 0, 0, 0xcc}; // mov $42, %eax; int3
	const uint64_t place = CALL(mmap, 0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, (uint64_t)-1);
	struct user_regs_struct registers = calm;

	(void)word;
	write_at(place, code, sizeof(code));
	CALL(mprotect, place, 4096, PROT_READ | PROT_EXEC);
	registers.rip = place;
	registers.orig_rax = (uint64_t)-1;
	if (ptrace(PTRACE_SETREGS, copy, 0, &registers) || ptrace(PTRACE_CONT, copy, 0, 0))
		give_up("ptrace");
	wait_for(copy);
	if (ptrace(PTRACE_GETREGS, copy, 0, &registers) || registers.rax != 42)
		give_up("its code does not run");
}

static void trace(char **word)
{
	CALL(ptrace, PTRACE_SEIZE, strtoul(word[0], NULL, 10), 0, 0);
}

static void send_signal(char **word)
{
	CALL(kill, strtoul(word[0], NULL, 10), SIGTERM);
}

// Opens and reads nothing itself: a ring does it.
static void ring_opens(char **word)
{
	struct io_uring_params parameters = {0};
	struct io_uring_sqe request = {.opcode = IORING_OP_OPENAT, .fd = AT_FDCWD, .open_flags = O_RDONLY};
	struct io_uring_cqe answer;
	uint64_t at = bytes(&parameters, sizeof(parameters));
	const uint64_t ring = CALL(io_uring_setup, 4, at), shared = MAP_SHARED | MAP_POPULATE,
		       both = PROT_READ | PROT_WRITE;
	uint64_t queues, requests;
	uint32_t one = 1;
	char said[64];

	read_at(at, &parameters, sizeof(parameters));
	queues = CALL(mmap, 0, 4096, both, shared, ring, IORING_OFF_SQ_RING);
	requests = CALL(mmap, 0, 4096, both, shared, ring, IORING_OFF_SQES);
	request.addr = text(word[0]);
	write_at(requests, &request, sizeof(request)); // the first of the list, whose indices are all 0
	write_at(queues + parameters.sq_off.tail, &one, sizeof(one));
	CALL(io_uring_enter, ring, 1, 1, IORING_ENTER_GETEVENTS, 0);
	read_at(queues + parameters.cq_off.cqes, &answer, sizeof(answer));
	if (answer.res >= 0)
		return;
	snprintf(said, sizeof(said), "refused io_uring:openat %s", strerrorname_np(-answer.res));
	finish(said, 1);
}

static struct sockaddr_in address(char **word)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(word[1]))};

	inet_pton(AF_INET, word[0], &to.sin_addr);
	return to;
}

// Somebody waits there: this program itself.
static void connect_to(char **word)
{
	const struct sockaddr_in to = address(word);
	const int server = socket(AF_INET, SOCK_STREAM, 0), yes = 1;
	uint64_t client;

	setsockopt(server, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
	if (bind(server, (const struct sockaddr *)&to, sizeof(to)) || listen(server, 1))
		give_up("cannot listen");
	client = CALL(socket, AF_INET, SOCK_STREAM, 0);
	CALL(connect, client, bytes(&to, sizeof(to)), sizeof(to));
}

static void listen_at(char **word)
{
	const struct sockaddr_in at = address(word);
	const uint64_t server = CALL(socket, AF_INET, SOCK_STREAM, 0);

	CALL(bind, server, bytes(&at, sizeof(at)), sizeof(at));
	CALL(listen, server, 1);
}

static void sniff(char **word)
{
	(void)word;
	CALL(socket, AF_PACKET, SOCK_RAW, htons(3 /* ETH_P_ALL */));
}

static void make_bpf_map(char **word)
{
	const union bpf_attr attr = {.map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 4, .max_entries = 1};

	(void)word;
	CALL(bpf, BPF_MAP_CREATE, bytes(&attr, sizeof(attr)), sizeof(attr));
}

static const struct {
	const char *name;
	int words;
	void (*act)(char **word);
	const char *of;
} acts[] = {
	{"write", 1, write_file, "FILE"},
	{"read", 1, read_file, "FILE"},
	{"link", 2, hard_link, "FILE LINK: reads through it"},
	{"rename", 2, rename_onto, "OWN FILE: a file of its own onto another"},
	{"bind", 3, bind_mount, "DIR PLACE NAME: binds in a user namespace, reads PLACE/NAME"},
	{"mount", 1, mount_tmpfs, "PLACE: a tmpfs"},
	{"exec", 1, execute, "FILE"},
	{"memfd", 0, execute_memory_file, "executes a file that is only in memory"},
	{"mprotect", 0, execute_memory, "runs code that it has written into its memory"},
	{"ptrace", 1, trace, "PID"},
	{"kill", 1, send_signal, "PID"},
	{"uring", 1, ring_opens, "FILE: opens it by io_uring"},
	{"connect", 2, connect_to, "ADDRESS PORT"},
	{"listen", 2, listen_at, "ADDRESS PORT"},
	{"sniff", 0, sniff, "a packet socket"},
	{"bpf", 0, make_bpf_map, "makes a BPF map"},
};

int main(int argc, char **argv)
{
	for (size_t i = 0; argc > 2 && i < sizeof(acts) / sizeof(*acts); i++) {
		if (strcmp(argv[2], acts[i].name) != 0 || argc != 3 + acts[i].words)
			continue;
		take_over(atoi(argv[1]));
		acts[i].act(argv + 3);
		finish("done", 0);
	}
	fputs("usage: taken_over PID ACT [WORD…]\n", stderr);
	for (size_t i = 0; i < sizeof(acts) / sizeof(*acts); i++)
		fprintf(stderr, "  %-9s %s\n", acts[i].name, acts[i].of);
	return 2;
}
