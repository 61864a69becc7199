import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from requests.structures import CaseInsensitiveDict

from airflow_provider_ecdp.api.redaction import Redactor
from airflow_provider_ecdp.api.responses import Answer, parse_retry_after, read_answer
from airflow_provider_ecdp.errors import (
    ApiError,
    ForbiddenError,
    KeyRefusedError,
    NoAnswerError,
    NotFoundError,
    RequestRejectedError,
    ServerError,
    ThrottledError,
    TooLargeError,
    UnexpectedAnswerError,
    UnreachableError,
    WrongAddressError,
)

METHODS = ("POST", "GET", "PUT", "DELETE")
NOW = 1_800_000_000.0
ORDER = {"status": 0, "data": {"id": "12", "totalValue": 1.5}}
PROBLEM_OF_A_FRAMEWORK = {
    "type": "https://tools.ietf.org/html/rfc9110#section-15.5.5",
    "title": "Not Found",
    "status": 404,
    "traceId": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00",
}


def answer(status, body=b"", content_type=None, *, complete=True, **headers):
    if not isinstance(body, bytes):
        body, content_type = json.dumps(body).encode(), content_type or "application/problem+json; charset=utf-8"
    if content_type:
        headers["content-type"] = content_type
    return Answer(status, CaseInsensitiveDict(headers), body, complete)


def read(method, given_answer, secret=""):
    return read_answer(method, given_answer, call=f"{method} /orders", now=NOW, redactor=lambda: Redactor.of(secret))


def refusal(method, given_answer, secret=""):
    with pytest.raises(ApiError) as caught:
        read(method, given_answer, secret)
    return caught.value


def problem(**more):
    return {
        "type": "about:blank",
        "title": "Bad Request",
        "status": 400,
        "substatus": "CustomerInvalidModelState",
        **more,
    }


def expected(status):
    if 500 <= status <= 599:
        return ServerError
    return {
        400: RequestRejectedError,
        401: KeyRefusedError,
        403: KeyRefusedError,
        404: WrongAddressError,
        408: NoAnswerError,
        409: RequestRejectedError,
        413: TooLargeError,
        422: RequestRejectedError,
        425: ThrottledError,
        429: ThrottledError,
        460: NoAnswerError,
        499: NoAnswerError,
    }.get(status, UnexpectedAnswerError)


@pytest.mark.parametrize("method", METHODS)
def test_every_status_but_the_documented_success_is_the_error_of_the_table(method):
    success = 201 if method == "POST" else 200
    for status in range(100, 600):
        if status != success:
            error = refusal(method, answer(status))
            assert type(error) is expected(status), status
            assert error.status == status
            assert f"HTTP {status}" in str(error)


@pytest.mark.parametrize("body", [b"", b"not json", b'{"status":', b"<html>", json.dumps(problem()).encode()])
@pytest.mark.parametrize("complete", [True, False])
def test_201_is_the_success_of_post_whatever_its_body(body, complete):
    assert read("POST", answer(201, body, complete=complete)) is None


@pytest.mark.parametrize("body", [b"", b"not json", json.dumps(ORDER).encode()])
def test_200_is_the_success_of_put_whatever_its_body(body):
    assert read("PUT", answer(200, body)) is None


@pytest.mark.parametrize(
    "body",
    [
        b"\n<html><title>The requested URL was rejected. Please consult with your administrator.</title>",
        b"<!DOCTYPE html>",
        json.dumps(problem()).encode(),
    ],
)
def test_a_200_of_put_with_a_page_or_a_problem_proves_nothing(body):
    error = refusal("PUT", answer(200, body))
    assert type(error) is UnexpectedAnswerError
    assert error.maybe_stored


@pytest.mark.parametrize("status", [400, 409, 422])
def test_a_refusal_in_html_is_a_gateway_s_and_says_nothing_about_the_orders(status):
    error = refusal("POST", answer(status, b"<html><title>400 Bad Request</title>", "text/html"))
    assert type(error) is UnexpectedAnswerError
    assert (error.transient, error.maybe_stored, error.may_be_content) == (False, False, True)


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_get_and_delete_return_the_data_object(method):
    assert read(method, answer(200, ORDER)) == ORDER["data"]


@pytest.mark.parametrize("method", ["GET", "DELETE"])
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html><title>Login</title>",
        b'{"status":0,"data":{"id":"1"',
        b"[]",
        b"null",
        b"{}",
        b'{"data":null}',
        b'{"data":[1]}',
        b"[" * 200_000,
        b"\xff\xfe\x00",
        b'{"data":{"id":' + b"9" * 5000 + b"}}",
    ],
)
def test_a_200_without_the_documented_object_is_unexpected(method, body):
    error = refusal(method, answer(200, body))
    assert type(error) is UnexpectedAnswerError
    assert not error.transient


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_a_200_that_broke_off_is_no_answer_and_may_be_sent_again(method):
    error = refusal(method, answer(200, ORDER, complete=False))
    assert type(error) is NoAnswerError
    assert error.transient


def test_the_details_are_the_errors_then_detail_and_title():
    error = refusal(
        "POST", answer(400, problem(detail="Two are wrong", errors=["data[3].id is empty", "Order 'A-1': no date"]))
    )
    assert error.details == ("data[3].id is empty", "Order 'A-1': no date", "Two are wrong", "Bad Request")
    assert "CustomerInvalidModelState" in str(error)
    assert "Two are wrong; data[3].id is empty" in str(error)


@pytest.mark.parametrize(
    ("errors", "details"),
    [
        (
            {"data[0].id": ["required", "too long"], "mode": "unknown"},
            ("data[0].id: required", "data[0].id: too long", "mode: unknown"),
        ),
        ([{"field": "id", "message": "required"}, 7, None], ('{"field": "id", "message": "required"}', "7", "null")),
        ("all of it", ("all of it",)),
        ([], ()),
        (None, ()),
        (3, ()),
        (["same", "same", "", "  "], ("same",)),
    ],
)
def test_errors_of_other_shapes_are_read_too(errors, details):
    assert refusal("POST", answer(400, {"errors": errors})).details == details


@pytest.mark.parametrize(
    "body", [{"message": "Forbidden"}, {"error": "Forbidden"}, {"title": "Forbidden", "detail": 3}]
)
def test_the_words_of_a_gateway_are_read(body):
    assert refusal("POST", answer(403, body)).details == ("Forbidden",)


@pytest.mark.parametrize(
    ("body", "content_type", "details"),
    [
        (b"", None, ()),
        (b"<html><head><title>502 Bad&nbsp;Gateway</title>", "text/html; charset=utf-8", ("502 Bad Gateway",)),
        (b"<HTML><body>no title", None, ()),
        (b"upstream connect error\nstack trace", "text/plain", ("upstream connect error",)),
        (b'"only a string"', "application/json", ("only a string",)),
        (b"\x00\x01\x02", "application/octet-stream", ()),
        (b'{"title": "cut sho', "application/problem+json", ()),
        (b"[" * 200_000, "application/json", ()),
        (b"\xff\xff", "text/plain; charset=klingon", ("\ufffd\ufffd",)),
    ],
)
def test_bodies_that_are_no_problem_say_what_they_can(body, content_type, details):
    error = refusal("POST", answer(502, body, content_type))
    assert type(error) is ServerError
    assert error.details == details


def test_an_answer_in_html_raises_the_doubt_that_it_is_not_from_ecdp():
    assert "proxy or a firewall" in str(refusal("POST", answer(403, b"<html>", "text/html")))
    assert "proxy or a firewall" not in str(refusal("POST", answer(403, problem())))


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
@pytest.mark.parametrize(
    "body",
    [
        {
            "type": "string",
            "title": "string",
            "status": 0,
            "substatus": "CustomerInvalidModelState",
            "detail": "string",
        },
        {"status": 404, "substatus": "OrderNotFound"},
    ],
)
def test_a_404_in_the_form_of_the_api_says_that_an_order_is_absent(method, body):
    assert type(refusal(method, answer(404, body))) is NotFoundError
    assert type(refusal(method, answer(404, body, "application/json"))) is NotFoundError
    assert type(refusal("POST", answer(404, body))) is WrongAddressError


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "given_answer",
    [
        answer(404),
        answer(404, b"<html>", "text/html"),
        answer(404, b"404 page not found", "text/plain"),
        answer(404, b'{"title": "Not Found", "status": 40', "application/problem+json"),
        answer(404, {"message": "no Route matched with those values"}),
        answer(404, {"statusCode": 404, "message": "Resource not found"}),
        answer(404, {"timestamp": "2026-01-01", "status": 404, "error": "Not Found", "path": "/orders/1"}),
        answer(404, {"detail": "Not Found"}),
        answer(404, {"title": "Not Found", "status": True}),
        answer(404, PROBLEM_OF_A_FRAMEWORK, "application/problem+json"),
        answer(404, ["Not Found"]),
    ],
)
def test_a_404_in_any_other_form_says_nothing_about_an_order(method, given_answer):
    error = refusal(method, given_answer)
    assert type(error) is WrongAddressError
    assert "the base URL may be wrong" in str(error)
    assert (error.transient, error.maybe_stored) == (False, False)


def test_a_framework_s_404_says_that_an_order_is_absent_only_after_a_success():
    for method in ("GET", "PUT", "DELETE"):
        with pytest.raises(NotFoundError):
            read_answer(method, answer(404, PROBLEM_OF_A_FRAMEWORK), call="it", now=NOW, key_accepted=True)


def test_a_404_after_a_success_does_not_blame_the_base_url():
    with pytest.raises(UnexpectedAnswerError, match="although other requests to this base URL succeeded") as caught:
        read_answer("POST", answer(404, b"<html>"), call="POST /orders", now=NOW, key_accepted=True)
    assert not isinstance(caught.value, WrongAddressError)
    assert not caught.value.maybe_stored


def test_a_403_after_a_success_is_not_about_the_key():
    with pytest.raises(ForbiddenError) as caught:
        read_answer("POST", answer(403, b"<html>"), call="POST /orders", now=NOW, key_accepted=True)
    assert caught.value.may_be_content
    assert (caught.value.transient, caught.value.maybe_stored) == (False, False)
    with pytest.raises(KeyRefusedError):
        read_answer("POST", answer(401), call="POST /orders", now=NOW, key_accepted=True)


def test_every_answer_but_one_about_the_proxy_may_be_about_the_content():
    statuses = [status for status in range(200, 600) if status != 201]
    assert [status for status in statuses if not refusal("POST", answer(status)).may_be_content] == [407]
    assert NoAnswerError("reset").may_be_content
    assert not UnreachableError("refused").may_be_content


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_doubts_the_base_url_and_shows_no_target(status):
    error = refusal("POST", answer(status, Location="https://login.example.com/?token=s3cret"))
    assert "base URL" in str(error)
    assert "s3cret" not in str(error)
    assert "login.example.com" not in str(error)


@pytest.mark.parametrize("status", [404, 405, 406, 415, 418])
def test_a_4xx_that_is_not_about_the_orders_blames_none(status):
    error = refusal("POST", answer(status, problem()))
    assert not isinstance(error, RequestRejectedError)
    assert "base URL" in str(error)


def test_personal_data_and_the_key_are_replaced_wherever_the_server_repeats_them():
    hostile = "jo@example.com +48 600 100 200 k-5f3a9c"
    error = refusal(
        "POST", answer(400, problem(title=hostile, detail=hostile, errors=[hostile], substatus=hostile)), "k-5f3a9c"
    )
    for shown in (str(error), repr(error), *error.details):
        assert "example.com" not in shown
        assert "600" not in shown
        assert "5f3a9c" not in shown


def test_the_details_are_bounded():
    error = refusal("POST", answer(400, problem(errors=[f"{i}: {'x' * 1000}" for i in range(3000)])))
    assert len(error.details) <= 1001
    assert max(map(len, error.details)) <= 300
    assert len(str(error)) < 600


@given(st.sampled_from(METHODS), st.integers(100, 599), st.binary(max_size=300), st.text(max_size=20), st.booleans())
def test_any_answer_is_a_result_or_an_api_error(method, status, body, content_type, complete):
    given_answer = answer(status, body, content_type, complete=complete)
    if status == (201 if method == "POST" else 200):
        with contextlib.suppress(UnexpectedAnswerError, NoAnswerError):
            assert isinstance(read(method, given_answer), dict | None)
    else:
        error = refusal(method, given_answer)
        assert error.status == status
        assert str(error).isprintable()


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("", None),
        ("7", 7.0),
        (" 0 ", 0.0),
        ("1.5", 1.5),
        ("-3", None),
        ("1e9", None),
        ("9" * 400, None),
        ("\u0663", None),
        ("soon", None),
        ("Fri, 15 Jan 2027 08:00:30 GMT", 30.0),
        ("Fri, 15 Jan 2027 08:00:30 -0000", 30.0),
        ("Friday, 15-Jan-27 08:00:30 GMT", 30.0),
        ("Fri Jan 15 08:00:30 2027", 30.0),
        ("Fri, 15 Jan 2027 07:00:00 GMT", 0.0),
        ("Fri, 99 Jan 2027 08:00:30 GMT", None),
        ("Fri, 15 Jan 99999999999 08:00:30 GMT", None),
    ],
)
def test_retry_after_is_read_as_seconds_or_as_a_date(value, seconds):
    assert parse_retry_after(value, NOW) == seconds


@given(st.text(max_size=60))
def test_any_retry_after_is_none_or_not_negative(value):
    seconds = parse_retry_after(value, NOW)
    assert seconds is None or seconds >= 0


@pytest.mark.parametrize("status", [429, 503, 500])
def test_errors_carry_the_retry_after(status):
    assert refusal("POST", answer(status, **{"retry-after": "7"})).retry_after == 7.0
    assert refusal("POST", answer(status)).retry_after is None


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"ratelimit-reset": "30"}, 30.0),
        ({"x-ratelimit-reset": " 30 ", "x-ratelimit-remaining": "0"}, 30.0),
        ({"x-rate-limit-reset": str(int(NOW) + 20)}, int(NOW) + 20 - NOW),
        ({"x-ratelimit-reset": "30", "retry-after": "7"}, 7.0),
        ({"x-ratelimit-reset": "30", "x-ratelimit-remaining": "12"}, None),
        ({"x-ratelimit-reset": str(int(NOW) - 20)}, None),
        ({"x-ratelimit-reset": "0"}, None),
        ({"x-ratelimit-reset": "soon"}, None),
        ({"x-ratelimit-reset": "9" * 400}, None),
    ],
)
def test_a_429_may_say_when_its_limit_is_reset(headers, seconds):
    assert refusal("POST", answer(429, **headers)).retry_after == seconds
    if "retry-after" not in headers:
        assert refusal("POST", answer(503, **headers)).retry_after is None
