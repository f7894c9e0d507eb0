/* node._native: what Python is too slow for. Limited API, so that one build serves every Python from 3.11 on.

   The program works without it: node/pow.py and node/ledger/batch.py say what takes its place. pow_search and
   verify_signatures let go of the interpreter's lock while they work, and touch nothing but their arguments. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "pow.h"
#include "verify.h"

/* One bytes object of exactly `wanted` bytes (any length when negative); NULL with an exception otherwise. */
static const unsigned char *bytes_of(PyObject *object, Py_ssize_t wanted, const char *what, Py_ssize_t *length)
{
    char *data;

    if (!PyBytes_Check(object)) {
        PyErr_Format(PyExc_TypeError, "%s must be bytes", what);
        return NULL;
    }
    if (PyBytes_AsStringAndSize(object, &data, length) < 0)
        return NULL;
    if (wanted >= 0 && *length != wanted) {
        PyErr_Format(PyExc_ValueError, "%s is %zd bytes, not %zd", what, wanted, *length);
        return NULL;
    }
    return (const unsigned char *)data;
}

/* Point `item` into a (public key, message, signature) tuple, which must outlive it; 0, or -1 with an exception. */
static int read_item(PyObject *object, struct signature_item *item)
{
    Py_ssize_t length;

    if (!PyTuple_Check(object) || PyTuple_Size(object) != 3) {
        PyErr_SetString(PyExc_TypeError, "an item must be a tuple (public key, message, signature)");
        return -1;
    }
    if (!(item->public_key = bytes_of(PyTuple_GetItem(object, 0), PUBLIC_KEY_BYTES, "a public key", &length)))
        return -1;
    if (!(item->message = bytes_of(PyTuple_GetItem(object, 1), -1, "a message", &length)))
        return -1;
    item->message_length = (size_t)length;
    if (!(item->signature = bytes_of(PyTuple_GetItem(object, 2), SIGNATURE_BYTES, "a signature", &length)))
        return -1;
    return 0;
}

/* A list of True and False. */
static PyObject *verdicts(const unsigned char *valid, Py_ssize_t count)
{
    PyObject *list = PyList_New(count);

    if (list == NULL)
        return NULL;
    for (Py_ssize_t i = 0; i < count; i++)
        if (PyList_SetItem(list, i, PyBool_FromLong(valid[i])) < 0) {
            Py_DECREF(list);
            return NULL;
        }
    return list;
}

/* Verify the items of a tuple that nobody else can change. */
static PyObject *verify_tuple(sign_open_function sign_open, PyObject *tuple)
{
    Py_ssize_t count = PyTuple_Size(tuple);
    struct signature_item *items = PyMem_Calloc((size_t)count + 1, sizeof *items);
    unsigned char *valid = PyMem_Calloc((size_t)count + 1, 1), *scratch = NULL;
    PyObject *answer = NULL;
    size_t longest = 0;

    if (items == NULL || valid == NULL) {
        PyErr_NoMemory();
        goto done;
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        if (read_item(PyTuple_GetItem(tuple, i), &items[i]) < 0)
            goto done;
        if (items[i].message_length > longest)
            longest = items[i].message_length;
    }
    if (longest > (size_t)PY_SSIZE_T_MAX / 4 || !(scratch = PyMem_Malloc(2 * (longest + SIGNATURE_BYTES)))) {
        PyErr_NoMemory();
        goto done;
    }
    Py_BEGIN_ALLOW_THREADS
    verify_items(sign_open, items, (size_t)count, scratch, longest + SIGNATURE_BYTES, valid);
    Py_END_ALLOW_THREADS
    answer = verdicts(valid, count);
done:
    PyMem_Free(scratch);
    PyMem_Free(valid);
    PyMem_Free(items);
    return answer;
}

PyDoc_STRVAR(verify_signatures_doc,
             "verify_signatures(sign_open, items, /)\n--\n\n"
             "Ask libsodium's crypto_sign_open, at the address `sign_open`, about each (public key, message,\n"
             "signature) by itself; a list of bool. The interpreter's lock is let go once for all of them.");

static PyObject *verify_signatures(PyObject *module, PyObject *args)
{
    PyObject *address, *items, *tuple, *answer;
    void *sign_open;

    (void)module;
    if (!PyArg_ParseTuple(args, "O!O:verify_signatures", &PyLong_Type, &address, &items))
        return NULL;
    sign_open = PyLong_AsVoidPtr(address);
    if (sign_open == NULL) {
        if (!PyErr_Occurred())
            PyErr_SetString(PyExc_ValueError, "the address of crypto_sign_open is not 0");
        return NULL;
    }
    /* A tuple of our own: the caller's list may change while the lock is let go. */
    tuple = PySequence_Tuple(items);
    if (tuple == NULL)
        return NULL;
    answer = verify_tuple((sign_open_function)(uintptr_t)sign_open, tuple);
    Py_DECREF(tuple);
    return answer;
}

/* The kernel of that name that this machine can run; NULL with an exception otherwise. */
static pow_kernel kernel_named(const char *name)
{
    for (const struct pow_kernel_entry *entry = POW_KERNELS; entry->name != NULL; entry++)
        if (strcmp(entry->name, name) == 0 && entry->runs_here())
            return entry->kernel;
    PyErr_Format(PyExc_ValueError, "no kernel '%s' on this machine", name);
    return NULL;
}

PyDoc_STRVAR(pow_kernels_doc, "pow_kernels()\n--\n\nNames of the kernels that this machine can run, fastest first.");

static PyObject *pow_kernels(PyObject *module, PyObject *ignored)
{
    PyObject *names = PyList_New(0);

    (void)module;
    (void)ignored;
    for (const struct pow_kernel_entry *entry = POW_KERNELS; names != NULL && entry->name != NULL; entry++) {
        PyObject *name;

        if (!entry->runs_here())
            continue;
        name = PyUnicode_FromString(entry->name);
        if (name == NULL || PyList_Append(names, name) < 0)
            Py_CLEAR(names);
        Py_XDECREF(name);
    }
    return names;
}

PyDoc_STRVAR(pow_search_doc,
             "pow_search(kernel, prefix, target, first_nonce, count, /)\n--\n\n"
             "Try count nonces from first_nonce on, in order, going on at 0 after the last; the first that meets\n"
             "the target (32 bytes, big-endian), or None. The interpreter's lock is let go meanwhile.");

static PyObject *search(PyObject *module, PyObject *args)
{
    PyObject *prefix, *target, *first, *count;
    const unsigned char *prefix_bytes, *target_bytes;
    unsigned long long first_nonce, nonces;
    const char *name;
    pow_kernel kernel;
    struct pow_job job;
    Py_ssize_t length;
    uint64_t found;
    int is_found;

    (void)module;
    if (!PyArg_ParseTuple(args, "sOOO!O!:pow_search", &name, &prefix, &target, &PyLong_Type, &first, &PyLong_Type,
                          &count))
        return NULL;
    if (!(kernel = kernel_named(name)) ||
        !(prefix_bytes = bytes_of(prefix, PREFIX_BYTES, "a header without its nonce", &length)) ||
        !(target_bytes = bytes_of(target, TARGET_BYTES, "a target", &length)))
        return NULL;
    /* OverflowError, unlike the "K" of PyArg_ParseTuple, for what is below 0 or needs more than 64 bits. */
    first_nonce = PyLong_AsUnsignedLongLong(first);
    if (first_nonce == (unsigned long long)-1 && PyErr_Occurred())
        return NULL;
    nonces = PyLong_AsUnsignedLongLong(count);
    if (nonces == (unsigned long long)-1 && PyErr_Occurred())
        return NULL;
    pow_job(&job, prefix_bytes, target_bytes);
    Py_BEGIN_ALLOW_THREADS
    is_found = pow_search(kernel, &job, first_nonce, nonces, &found);
    Py_END_ALLOW_THREADS
    if (!is_found)
        Py_RETURN_NONE;
    return PyLong_FromUnsignedLongLong(found);
}

static PyMethodDef methods[] = {
    {"pow_kernels", pow_kernels, METH_NOARGS, pow_kernels_doc},
    {"pow_search", search, METH_VARARGS, pow_search_doc},
    {"verify_signatures", verify_signatures, METH_VARARGS, verify_signatures_doc},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot slots[] = {{0, NULL}};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "node._native",
    .m_doc = "What Python is too slow for; the program works without it.",
    .m_size = 0,
    .m_methods = methods,
    .m_slots = slots,
};

PyMODINIT_FUNC PyInit__native(void)
{
    return PyModuleDef_Init(&definition);
}
