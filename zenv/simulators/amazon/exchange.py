"""From request to answer: fault, token, rate, judgement, face, judgement; under the simulator's lock."""

from __future__ import annotations

from dataclasses import dataclass

from . import faults
from .judge import form_problems, judge_of
from .limits import RATES
from .login import check_token
from .operations import Operation, find
from .records import Fault, SeenRequest
from .simulator import AmazonSimulator
from .wire import Answer, Call, Refusal

_WITH_RATE = frozenset({200, 201, 202, 204, 400, 404})


@dataclass(slots=True)
class Outcome:
    """The answer and what the wire is to do to it: nothing, or one of the transport faults."""

    answer: Answer
    fault: Fault | None = None


class Exchange:
    """Answers requests for one simulator."""

    def __init__(self, sim: AmazonSimulator) -> None:
        self.sim = sim
        self._judge = judge_of(sim.models) if sim.models else None

    def handle(self, call: Call) -> Outcome:
        """Answer one request; its effects, its record and its violations are in the simulator afterwards."""
        sim = self.sim
        with sim.lock:
            sim.clock.settle()
            call.at = sim.now()
            found = find(call.method, call.path)
            if found is None:
                return self._unknown(call)
            operation, call.params = found
            call.operation = operation.name
            seen = SeenRequest(call.operation, call.method, call.path, call.at, call.request_id, call.query)
            sim.requests.append(seen)
            fault = faults.pick(sim, call)
            seen.fault = fault.name if fault else None
            answer = self._answer(operation, call, fault)
            seen.status = 0 if fault and fault.name == "reset" else answer.status
            return Outcome(answer, fault)

    def _unknown(self, call: Call) -> Outcome:
        self.sim.violate("unknown", call.request_id, f"there is no operation {call.method} {call.path}")
        refusal = Refusal(404, "NotFound", "The resource was not found.")
        self.sim.requests.append(
            SeenRequest("unknown", call.method, call.path, call.at, call.request_id, call.query, 404)
        )
        return Outcome(self._dressed(None, call, Answer(404, refusal.body())))

    def _answer(self, operation: Operation, call: Call, fault: Fault | None) -> Answer:
        """Everything up to the finished answer; a fault that strikes first leaves no effect."""
        try:
            answer = faults.before_effect(fault, call) if fault else None
            if fault is not None and fault.name == "reset":
                return Answer(204)
            if answer is None:
                answer = self._serve(operation, call, fault)
        except Refusal as refusal:
            answer = Answer(refusal.status, refusal.body())
            if refusal.broken_rule:
                self.sim.violate(call.operation, call.request_id, f"{refusal}. {refusal.details}".strip())
        self._judge_answer(operation, call, answer)
        answer = self._dressed(operation, call, answer)
        return faults.after_effect(fault, answer) if fault else answer

    def _serve(self, operation: Operation, call: Call, fault: Fault | None) -> Answer:
        sim = self.sim
        self._judge_request(operation, call)
        if operation.model:
            check_token(sim, call)
            if sim.limits and not sim.throttle.take(operation.name, call.at, sim.sandbox):
                raise faults.quota_exceeded()
        if operation.takes_fault:
            return operation.handler(sim, call, fault)
        return operation.handler(sim, call)

    def _judge_request(self, operation: Operation, call: Call) -> None:
        if operation.model:
            self._note(call, form_problems(call))
            if self._judge and not self.sim.sandbox:
                self._note(call, self._judge.request_problems(operation, call))
        elif self._judge and operation.name == "uploadDocument":
            self._note(call, self._judge.feed_problems(call.body))

    def _judge_answer(self, operation: Operation, call: Call, answer: Answer) -> None:
        if self._judge and operation.model and answer.content_type == "application/json":
            self._note(call, [f"our answer: {p}" for p in self._judge.answer_problems(operation, answer)])

    def _note(self, call: Call, problems: list[str]) -> None:
        for problem in problems:
            self.sim.violate(call.operation, call.request_id, problem)

    def _dressed(self, operation: Operation | None, call: Call, answer: Answer) -> Answer:
        answer.headers["x-amzn-RequestId"] = call.request_id
        if operation and operation.name in RATES and answer.status in _WITH_RATE:
            answer.headers["x-amzn-RateLimit-Limit"] = str(RATES[operation.name][0])
        return answer
