"""The control socket's own thread: one selector over all clients.

It reads the last status and lays down commands (`Mailbox`), and touches nothing else; so it answers while the driver
hangs. Whatever one client does ends at worst that client's connection.
"""

from __future__ import annotations

import resource
import selectors
import socket
import time
from collections.abc import Callable, Sequence
from threading import Event, Lock

from gpu_tuned.control import methods
from gpu_tuned.control.acceptor import Acceptor
from gpu_tuned.control.connection import Connection, Limits
from gpu_tuned.control.framing import BadMessage, encode
from gpu_tuned.control.mailbox import Mailbox
from gpu_tuned.control.memory import Memory, Unserved
from gpu_tuned.control.methods import Responder
from gpu_tuned.control.peers import Access, peer_of
from gpu_tuned.control.places import Pace, Places, Room
from gpu_tuned.control.trouble import Troubles
from gpu_tuned.core.status import timestamp
from gpu_tuned.ports import Answer

SWEEP_S = 1.0
"""How often time limits are looked at; with no client that has one, the thread sleeps until somebody comes."""
FIRST_STATUS_S = 1.0
MESSAGES_A_TURN = 8


class Server:
    """`open` in the thread that starts: its errors come before the driver is touched. `serve` in the control thread.

    `path`: where to listen, None for inherited sockets alone. `inherited`: listening descriptors from systemd;
    they are taken over. `say_trouble` is called with one sentence when a client could not be let in or served, at
    most once a minute.
    """

    def __init__(  # noqa: PLR0913 - what it serves, where, and its bounds: no two belong together
        self,
        mailbox: Mailbox,
        path: str | None,
        inherited: Sequence[int] = (),
        group: str = "gpu-tuned",
        *,
        was_killed: Callable[[int | None], bool] = lambda pid: False,
        say_trouble: Callable[[str], None] = lambda text: None,
        limits: Limits | None = None,
        room: Room | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._mailbox, self._group, self._limits, self._clock = mailbox, group, limits or Limits(), clock
        self._troubles = Troubles(say_trouble, clock)
        self._selector = selectors.DefaultSelector()
        self._acceptor = Acceptor(self._selector, path, inherited, was_killed, self._troubles)
        self._clients: set[Connection] = set()
        self._hungry: set[Connection] = set()
        self._pace = Pace(self._limits.requests_per_s)
        self._resting: set[Connection] = set()  # whose users asked enough for this second
        descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        self._places = Places((room or Room()).within(descriptors))
        self._memory = Memory()
        self._unserved = Unserved(self._limits.input_bytes)
        self._swept_s = float("-inf")
        self._closing = False
        self._serving = False
        self._ended = Event()
        self._ending = Lock()

    def open(self) -> None:
        """Listen; from now on clients may connect, and are answered once `serve` runs.

        Raises AlreadyRunning, UsageError, listen.SocketTrouble."""
        self._responder = Responder(self._mailbox, Access(self._group))
        try:
            self._acceptor.open()
        except BaseException:
            self._end()
            raise
        self._acceptor.resume()
        self._selector.register(self._mailbox, selectors.EVENT_READ)

    def close(self) -> None:
        """End `serve`, from any thread, and wait for its last step; all clients are let go."""
        self._closing = True
        if self._serving:
            self._mailbox.wake()
            self._ended.wait(2.0)
        else:
            self._end()

    def serve(self) -> None:
        """Serve until `close`. Returns; never raises."""
        self._serving = True
        try:
            self._wait_for_first_status()
            while not self._closing:
                try:
                    self._turn()
                except Exception as error:  # noqa: BLE001  the socket must go on
                    self._troubles.add(f"one turn failed: {error!r}")
                    time.sleep(0.1)  # a selector that fails at once would fail again at once
        finally:
            self._end()
            self._ended.set()

    def _wait_for_first_status(self) -> None:
        """Who connects while the daemon starts waits in the kernel's queue for a moment, and not for a refusal."""
        until_s = time.monotonic() + FIRST_STATUS_S
        while not self._closing and time.monotonic() < until_s and not self._mailbox.published.wait(0.05):
            pass

    def _turn(self) -> None:
        ready = self._selector.select(self._timeout_s())
        hungry, self._hungry = self._hungry, set()
        for key, events in ready:
            if key.fileobj is self._mailbox:
                self._mailbox.quiet()
            elif isinstance(key.data, Connection):
                hungry.discard(key.data)
                self._guard(key.data, events)
            elif isinstance(key.fileobj, socket.socket):
                for connection in self._acceptor.accept(key.fileobj):
                    self._let_in(connection)
        for client in hungry & self._clients:
            self._guard(client, 0)
        self._hand_out_answers()
        self._tell_watchers()
        if self._clock() - self._swept_s >= SWEEP_S:
            self._sweep()

    def _timeout_s(self) -> float | None:
        if self._hungry:
            return 0.0
        limited = (
            self._acceptor.paused
            or self._resting
            or self._troubles.owed
            or self._memory.owed
            or any(client.watched is None for client in self._clients)
        )
        return SWEEP_S if limited else None

    def _let_in(self, sock: socket.socket) -> None:
        try:
            self._welcome(sock)
        except OSError:
            sock.close()

    def _welcome(self, sock: socket.socket) -> None:
        sock.setblocking(False)  # noqa: FBT003 - its parameter has no name
        peer = peer_of(sock)
        refusal = self._places.take(peer.uid)
        if refusal is not None:
            self._troubles.add(f"nobody more is let in: {refusal}")
            sock.send(encode(methods.error_reply("Busy", {"message": refusal})))
            sock.close()
            return
        client = Connection(sock, peer, self._limits, self._clock())
        self._clients.add(client)
        self._settle(client)

    def _guard(self, client: Connection, events: int) -> None:
        """Serve one client; what goes wrong ends its connection and nothing else."""
        try:
            if events & selectors.EVENT_WRITE:
                client.flush(self._clock())
            if events & selectors.EVENT_READ:
                client.receive(self._clock())
            self._serve(client)
        except OSError:
            self._drop(client)
        except Exception as error:  # noqa: BLE001  it is this client's end, and nobody else's
            self._troubles.add(f"a client of uid {client.peer.uid}, pid {client.peer.pid}, was let go: {error!r}")
            self._drop(client)
        else:
            self._settle(client)
            if client in self._clients:
                self._unserved.count(client)
            greediest = self._unserved.too_much()
            if greediest is not None:
                self._drop(greediest)

    def _serve(self, client: Connection) -> None:
        """A few of the requests that came; the rest at the next turn, so that nobody waits for one who asks much."""
        for _ in range(MESSAGES_A_TURN):
            if not client.takes:
                return
            if not self._pace.may_ask(client.peer.uid):
                self._resting.add(client)
                return
            now_s = self._clock()
            try:
                message = client.take(now_s)
                if message is None:
                    return
                self._pace.asked(client.peer.uid)
                call = self._responder.respond(message, client.peer)
            except BadMessage as error:
                client.leaving = True
                client.send(encode(methods.error_reply("InvalidMessage", {"problem": str(error)})), now_s)
                return
            if call.command is not None:
                client.waits_for = (call.command, now_s)
            if call.watches:
                client.watched = self._mailbox.last_event
                client.send(methods.event_reply(client.watched, 0, None), now_s)
            for reply in call.replies:
                client.send(reply, now_s)
        self._hungry.add(client)

    def _hand_out_answers(self) -> None:
        waiting = {id(client.waits_for[0]): client for client in self._clients if client.waits_for}
        for command, answer in self._mailbox.answers():
            client = waiting.get(id(command))
            if client is not None:
                self._answer(client, answer)

    def _answer(self, client: Connection, answer: Answer) -> None:
        client.waits_for = None
        try:
            client.send(methods.answer_reply(answer), self._clock())
        except OSError:
            self._drop(client)
        except Exception as error:  # noqa: BLE001  as above
            self._troubles.add(f"an answer could not be sent: {error!r}")
            self._drop(client)
        else:
            self._guard(client, 0)

    def _tell_watchers(self) -> None:
        for client in [c for c in self._clients if c.watched is not None and c.watched < self._mailbox.last_event]:
            try:
                while not client.full and client.watched is not None:
                    event = self._mailbox.event_after(client.watched)
                    if event is None:
                        break
                    client.watched = event[0]
                    client.send(methods.event_reply(*event), self._clock())
            except OSError:
                self._drop(client)
            else:
                self._settle(client)

    def _sweep(self) -> None:
        """Time limits, once a second."""
        now_s = self._swept_s = self._clock()
        self._memory.clients(len(self._clients))
        self._troubles.tell_owed()
        if self._acceptor.paused:
            self._acceptor.resume()
        self._pace.renew()
        self._hungry |= self._resting
        self._resting = set()
        for client in list(self._clients):
            if client.waits_for is not None and now_s - client.waits_for[1] > self._limits.command_s:
                command = client.waits_for[0]
                self._mailbox.withdraw(command)
                since = self._mailbox.not_answering_since() or timestamp(command.at_s)
                self._answer(client, Answer({"since": since}, "NotAnswering"))
            elif client.overdue(now_s) or self._took_back(client):
                self._drop(client)

    def _settle(self, client: Connection) -> None:
        """Wait for what this client can do next, or let it go."""
        if client not in self._clients or (client.done and client not in self._hungry) or self._took_back(client):
            self._drop(client)
            return
        reads = client.reads and client not in self._resting
        events = reads * selectors.EVENT_READ | client.writes * selectors.EVENT_WRITE
        key = self._selector.get_map().get(client.sock)
        if key is None and events:
            self._selector.register(client.sock, events, client)
        elif key is not None and not events:
            self._selector.unregister(client.sock)
        elif key is not None and key.events != events:
            self._selector.modify(client.sock, events, client)

    def _took_back(self, client: Connection) -> bool:
        """Whether nobody waits for a command any more, and the loop did not take it yet: who was told that the daemon
        did not answer must not have a limit lifted minutes later."""
        return client.waits_for is not None and client.gone and self._mailbox.withdraw(client.waits_for[0])

    def _drop(self, client: Connection) -> None:
        if client not in self._clients:
            return
        self._clients.discard(client)
        self._hungry.discard(client)
        self._resting.discard(client)
        self._places.leave(client.peer.uid)
        self._unserved.forget(client)
        if client.sock in self._selector.get_map():
            self._selector.unregister(client.sock)
        client.sock.close()

    def _end(self) -> None:
        with self._ending:
            for client in list(self._clients):
                self._drop(client)
            self._acceptor.close()
            self._selector.close()
