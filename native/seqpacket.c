/*
 * A unix SOCK_SEQPACKET connection as a JavaScript class, which Node has none for. A message is one
 * packet. src/vsw/pfkey/seqpacket.ts has its types and says what each method does.
 */
#include "binding.h"
#include "seqpacket.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <uv.h>

/* Larger than any message of a PF_KEY peer by far; a longer one is an error, not cut. */
#define MAX_MESSAGE 65536

struct seqpacket {
	uv_poll_t poll;
	napi_env env;
	napi_async_context async;
	napi_ref on_readable;
	/* The wrapping object is kept alive while the descriptor is open. */
	napi_ref self;
	int fd;
	/* libuv holds `poll` until its close callback. */
	bool is_closing;
	bool is_collected;
};

static void free_if_unused(struct seqpacket *socket)
{
	if (socket->is_collected && !socket->is_closing) {
		free(socket);
	}
}

static void poll_closed(uv_handle_t *handle)
{
	struct seqpacket *socket = handle->data;

	socket->is_closing = false;
	free_if_unused(socket);
}

static void close_socket(struct seqpacket *socket)
{
	if (socket->fd < 0) {
		return;
	}
	uv_poll_stop(&socket->poll);
	socket->is_closing = true;
	uv_close((uv_handle_t *)&socket->poll, poll_closed);
	close(socket->fd);
	socket->fd = -1;
	if (socket->self) {
		napi_delete_reference(socket->env, socket->self);
		socket->self = NULL;
	}
}

static void on_poll(uv_poll_t *handle, int status, int events)
{
	struct seqpacket *socket = handle->data;
	napi_value receiver, callback, error;
	napi_handle_scope scope;
	napi_env env = socket->env;
	bool is_pending = false;

	(void)status;
	(void)events;
	napi_open_handle_scope(env, &scope);
	napi_get_reference_value(env, socket->on_readable, &callback);
	napi_get_global(env, &receiver);
	napi_make_callback(env, socket->async, receiver, callback, 0, NULL, NULL);
	napi_is_exception_pending(env, &is_pending);
	if (is_pending) {
		napi_get_and_clear_last_exception(env, &error);
		napi_fatal_exception(env, error);
	}
	napi_close_handle_scope(env, scope);
}

/* The wrapped socket and up to one argument; NULL, with an exception pending, if the call is wrong. */
static struct seqpacket *begin(napi_env env, napi_callback_info info, size_t wanted, napi_value *argument,
	napi_value *self)
{
	struct seqpacket *socket = NULL;
	size_t count = 1;

	if (napi_get_cb_info(env, info, &count, argument, self, NULL) != napi_ok ||
	    napi_unwrap(env, *self, (void **)&socket) != napi_ok || count < wanted) {
		throw_error(env, "expected a socket and %zu arguments", wanted);
		return NULL;
	}
	return socket;
}

static int open_connection(const char *path, size_t length)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd, failure;

	if (length >= sizeof(address.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(address.sun_path, path, length + 1);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
		failure = errno;
		close(fd);
		errno = failure;
		return -1;
	}
	return fd;
}

static napi_value method_connect(napi_env env, napi_callback_info info)
{
	napi_value argument, self;
	struct seqpacket *socket = begin(env, info, 1, &argument, &self);
	char path[sizeof(((struct sockaddr_un *)0)->sun_path) + 1];
	uv_loop_t *loop;
	size_t length;

	if (!socket) {
		return NULL;
	}
	if (socket->fd >= 0 || socket->is_closing) {
		return throw_error(env, "the socket was connected already");
	}
	if (napi_get_value_string_utf8(env, argument, path, sizeof(path), &length) != napi_ok) {
		return throw_error(env, "path: expected a string");
	}
	socket->fd = open_connection(path, length);
	if (socket->fd < 0) {
		return throw_error(env, "cannot connect to %s: %s", path, strerror(errno));
	}
	if (napi_get_uv_event_loop(env, &loop) != napi_ok || uv_poll_init(loop, &socket->poll, socket->fd) != 0) {
		close(socket->fd);
		socket->fd = -1;
		return throw_error(env, "cannot poll %s", path);
	}
	socket->poll.data = socket;
	napi_create_reference(env, self, 1, &socket->self);
	uv_poll_start(&socket->poll, UV_READABLE, on_poll);
	return NULL;
}

static napi_value method_send(napi_env env, napi_callback_info info)
{
	napi_value argument, self, result = NULL;
	struct seqpacket *socket = begin(env, info, 1, &argument, &self);
	size_t length;
	void *bytes;

	if (!socket || !as_array(env, argument, napi_uint8_array, &bytes, &length)) {
		return NULL;
	}
	if (socket->fd < 0) {
		return throw_error(env, "the socket is closed");
	}
	if (send(socket->fd, bytes, length, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0) {
		napi_get_boolean(env, true, &result);
	} else if (errno == EAGAIN || errno == EWOULDBLOCK) {
		napi_get_boolean(env, false, &result);
	} else {
		return throw_error(env, "cannot send: %s", strerror(errno));
	}
	return result;
}

static napi_value method_receive(napi_env env, napi_callback_info info)
{
	napi_value argument, self, result = NULL;
	struct seqpacket *socket = begin(env, info, 0, &argument, &self);
	uint8_t message[MAX_MESSAGE];
	ssize_t length;

	if (!socket) {
		return NULL;
	}
	/* With MSG_TRUNC the length is the whole message's. */
	length = socket->fd < 0 ? 0 : recv(socket->fd, message, sizeof(message), MSG_DONTWAIT | MSG_TRUNC);
	if (length > (ssize_t)sizeof(message)) {
		explicit_bzero(message, sizeof(message));
		return throw_error(env, "a message of %zd bytes is longer than %d", length, MAX_MESSAGE);
	}
	if (length > 0) {
		napi_create_buffer_copy(env, (size_t)length, message, NULL, &result);
		/* It may hold keys. */
		explicit_bzero(message, (size_t)length);
	} else if (length == 0 || errno == ECONNRESET) {
		napi_get_null(env, &result);
	} else if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR) {
		return throw_error(env, "cannot receive: %s", strerror(errno));
	}
	return result;
}

static napi_value method_close(napi_env env, napi_callback_info info)
{
	napi_value argument, self;
	struct seqpacket *socket = begin(env, info, 0, &argument, &self);

	if (socket) {
		close_socket(socket);
	}
	return NULL;
}

static void finalize(napi_env env, void *data, void *hint)
{
	struct seqpacket *socket = data;

	(void)hint;
	close_socket(socket);
	napi_async_destroy(env, socket->async);
	napi_delete_reference(env, socket->on_readable);
	socket->is_collected = true;
	free_if_unused(socket);
}

static napi_value construct(napi_env env, napi_callback_info info)
{
	struct seqpacket *socket = calloc(1, sizeof(*socket));
	napi_valuetype type = napi_undefined;
	napi_value self, args[1], name;
	size_t count = 1;

	if (!socket) {
		return throw_error(env, "out of memory");
	}
	socket->env = env;
	socket->fd = -1;
	napi_get_cb_info(env, info, &count, args, &self, NULL);
	napi_typeof(env, args[0], &type);
	napi_create_string_utf8(env, "lagopus:seqpacket", NAPI_AUTO_LENGTH, &name);
	if (type != napi_function || napi_create_reference(env, args[0], 1, &socket->on_readable) != napi_ok ||
	    napi_async_init(env, NULL, name, &socket->async) != napi_ok ||
	    napi_wrap(env, self, socket, finalize, NULL, NULL) != napi_ok) {
		free(socket);
		return throw_error(env, "expected a function");
	}
	return self;
}

void define_seqpacket(napi_env env, napi_value exports)
{
#define METHOD(name, function) { name, NULL, function, NULL, NULL, NULL, napi_default, NULL }
	const napi_property_descriptor methods[] = {
		METHOD("connect", method_connect),
		METHOD("send", method_send),
		METHOD("receive", method_receive),
		METHOD("close", method_close),
	};
#undef METHOD
	napi_value constructor;

	if (napi_define_class(env, "SeqpacketSocket", NAPI_AUTO_LENGTH, construct, NULL,
		    sizeof(methods) / sizeof(methods[0]), methods, &constructor) == napi_ok) {
		napi_set_named_property(env, exports, "SeqpacketSocket", constructor);
	}
}
