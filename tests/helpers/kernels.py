"""Count the kernels that a function would launch on a GPU: operations that compute, without views and allocations."""

from collections import Counter

from torch.utils._python_dispatch import TorchDispatchMode

_WITHOUT_KERNEL = {"empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided", "detach", "_unsafe_view"}
_WITHOUT_KERNEL |= {"_record_function_enter_new", "_record_function_exit", "promote_types"}


class _Counter(TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.kernels = Counter()

    def __torch_dispatch__(self, function, types, arguments=(), options=None):
        name = function.overloadpacket.__name__
        if not (function.is_view or name in _WITHOUT_KERNEL):
            self.kernels[name] += 1
        return function(*arguments, **(options or {}))


def list_kernels(function, *arguments):
    """Return the number of each operation that computes."""
    with _Counter() as counter:
        function(*arguments)
    return counter.kernels
