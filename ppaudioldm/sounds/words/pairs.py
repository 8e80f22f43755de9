"""Two sounds in words: {first} and {second} are descriptions of the sounds, noun phrases or clauses."""

from __future__ import annotations

# Language -> split -> templates: N for two noun phrases, C for two clauses, * for either.
Templates = dict[str, dict[str, tuple[str, ...]]]

SEQUENCE: Templates = {
    "en": {
        "train": (
            "*:{first}, then {second}",
            "*:{first}, then {second}",
            "*:{first} and then {second}",
            "*:first {first}, then {second}",
            "*:{first}, after that {second}",
            "*:at first {first}, later {second}",
            "N:{first} followed by {second}",
            "N:{second} after {first}",
            "N:after {first}, {second}",
        ),
        "test": (
            "*:first {first}, after that {second}",
            "*:{first}, later {second}",
            "*:at first {first}, then {second}",
            "N:first {first} followed by {second}",
        ),
    },
    "zh": {
        "train": (
            "*:{first}，然后{second}",
            "*:{first}，然后{second}",
            "*:{first}，接着{second}",
            "C:先{first}，再{second}",
            "C:{first}以后，{second}",
            "*:{first}，之后{second}",
            "N:先是{first}，然后是{second}",
            "N:{first}之后是{second}",
            "N:{first}，后来是{second}",
        ),
        "test": (
            "C:先{first}，然后{second}",
            "C:先{first}，接着{second}",
            "N:先是{first}，后来是{second}",
            "N:{first}，接着是{second}",
        ),
    },
}

TOGETHER: Templates = {
    "en": {
        "train": (
            "N:{first} and {second}",
            "N:{second} and {first}",
            "C:{first} and {second}",
            "*:{first} and {second} at the same time",
            "C:{first} while {second}",
            "N:{first} together with {second}",
            "N:{first} with {second} in the background",
            "N:{first} during {second}",
            "N:a mix of {first} and {second}",
            "N:{first}, mixed with {second}",
        ),
        "test": (
            "N:{first} and {second} together",
            "N:{first} mixed with {second}",
            "*:{first} and at the same time {second}",
        ),
    },
    "zh": {
        "train": (
            "N:{first}和{second}",
            "N:{second}和{first}",
            "N:{first}与{second}",
            "C:{first}，同时{second}",
            "N:{first}，同时有{second}",
            "N:{first}和{second}同时响起",
            "N:{first}伴着{second}",
            "N:{first}，背景是{second}",
            "N:{first}和{second}混在一起",
        ),
        "test": (
            "N:{first}与{second}同时响起",
            "N:{first}与{second}混在一起",
            "C:{second}，同时{first}",
        ),
    },
}
