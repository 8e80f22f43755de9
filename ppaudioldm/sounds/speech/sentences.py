"""Training sentences from a grammar: commands, everyday sentences, and words in a row, in lower case.

What is held out for the judgement of models, `held_out.HELD_OUT`, is never among them.
"""

from __future__ import annotations

import re
from functools import cache

import numpy as np

from ppaudioldm.sounds.speech.held_out import HELD_OUT, normalised
from ppaudioldm.sounds.speech.words import CATEGORIES, plural

# {category}: a word of it; {category+}: its plural. "a" becomes "an" where it has to.
COMMANDS = (
    "turn on the {room} {device}",
    "turn off the {device}",
    "turn the {device} on",
    "turn the {device} off at {hour}",
    "turn up the {device}",
    "turn down the {music}",
    "switch on the {device} in the {room}",
    "switch off the {room} {device}",
    "start the {device}",
    "stop the {device}",
    "stop the {music}",
    "pause the {music}",
    "open the {opening}",
    "close the {opening}",
    "lock the {opening}",
    "unlock the {room} {opening}",
    "open the {room} {opening}",
    "close the {color} {opening}",
    "play the {ordinal} {music}",
    "play some {music} music",
    "play the {instrument}",
    "set a timer for {number} {unit+}",
    "set an alarm for {hour}",
    "set the alarm for {hour} on {day}",
    "wake me up at {hour}",
    "call my {relative}",
    "call the {profession}",
    "call {name}",
    "call {name} and {name}",
    "send a message to {name}",
    "send the {tool} to my {relative}",
    "read my {ordinal} message",
    "read the {thing} to me",
    "show me the {thing}",
    "show me the way to the {place}",
    "tell me the {thing}",
    "tell me about {city}",
    "tell me what time it is",
    "where is the {place}",
    "where is my {tool}",
    "where are the {tool+}",
    "how far is it to {city}",
    "how far is the {place}",
    "how old is your {relative}",
    "how much is the {clothing}",
    "how many {animal+} are there",
    "how many {unit+} are in a {unit}",
    "turn left at the {place}",
    "turn right after the {place}",
    "turn around at the {ordinal} {place}",
    "go straight to the {place}",
    "go back to the {place}",
    "go ahead and {go}",
    "slow down at the {place}",
    "stop at the {place}",
    "stop here please",
    "{do} the {tool} please",
    "please {do} the {furniture}",
    "please {do} it {adverb}",
    "please {go} {adverb}",
    "please come back {adverb}",
    "{do} {owner} {clothing}",
    "{do} the {tool} and the {tool}",
    "do not {do} the {thing}",
    "do not {go} {adverb}",
    "what is the {thing}",
    "what is the weather in {city}",
    "what is the weather like {adverb}",
    "will it be {weather} on {day}",
    "will it rain in {city}",
    "add {food} and {food} to the list",
    "remind me on {day}",
    "increase the {thing}",
    "let us {go}",
    "let us {do} the {thing}",
)
EVERYDAY = (
    "the {vehicle} leaves at {hour}",
    "the {vehicle} is late {adverb}",
    "the {vehicle} to {city} is {mood}",
    "the {animal} is in the {place}",
    "a {animal} {went} on the {furniture}",
    "a {animal} {went} {preposition} the {place}",
    "the {color} {animal} {goes} {adverb}",
    "the {animal} and the {animal} {went} {adverb}",
    "{number} {animal+} {go} {preposition} the {place}",
    "{number} {color} {vessel+} on the {furniture}",
    "{number} {quality} {tool+}",
    "my {relative} lives in {city}",
    "my {relative} {does} the {thing}",
    "my {relative} {went} {adverb}",
    "{owner} {relative} is a {profession}",
    "{owner} {relative} {did} a {quality} {tool}",
    "he has {number} {quality} {vehicle+}",
    "she has a {quality} {clothing}",
    "i have {number} {clothing+}",
    "we had {food} for dinner",
    "we had {food} and {food} in the {daytime}",
    "they eat {food} with {food}",
    "he drinks a {vessel} of {drink}",
    "she drinks {drink} in the {daytime}",
    "i would like a {vessel} of {drink}",
    "a {vessel} of {drink} and some {food}",
    "the sun is very {weather}",
    "the {nature} is {quality}",
    "the {nature} {goes} {preposition} the {nature}",
    "it is {weather} {adverb}",
    "it was {weather} in {month}",
    "it is {weather} and {weather}",
    "good {daytime} {name}",
    "good {daytime} and {go} well",
    "thank you {name}",
    "thank you very much for the {food}",
    "see you on {day}",
    "see you {adverb}",
    "see you next {unit}",
    "i love this {quality} {place}",
    "i {do} the {thing} {adverb}",
    "you {modal} {do} the {thing}",
    "you {modal} {go} {adverb}",
    "we {modal} {do} {quantity} {food}",
    "they {did} the {quality} {thing}",
    "they {did} {owner} {tool}",
    "he {did} it {adverb}",
    "she {did} the {color} {clothing}",
    "{name} {did} the {tool}",
    "{name} {went} to the {place}",
    "{name} {does} {owner} {relative}",
    "{name} is {mood} and {mood}",
    "{name} was {mood} on {day}",
    "the {profession} {did} the {thing}",
    "the {profession} {does} a {quality} {thing}",
    "the {profession} {went} {preposition} the {place}",
    "the {quality} {profession} {went} {adverb}",
    "the {profession} speaks {language} and {language}",
    "happy birthday {name}",
    "good {daytime} everybody",
    "everybody {went} {adverb}",
    "welcome to the {place}",
    "welcome to {city}",
    "i was born in {month}",
    "{month} comes before {month}",
    "in {season} the {nature+} are {color}",
    "{season} is {quality} in {city}",
    "we play {sport} on {day}",
    "he plays the {instrument} {adverb}",
    "she likes {sport} and {music}",
    "i study {subject} in {city}",
    "{subject} is a {quality} subject",
    "the {tool} is made of {material}",
    "the {furniture} is {quality} and {quality}",
    "a {quality} {furniture} of {material}",
    "my {body} is {quality}",
    "his {body} and his {body} were {quality}",
    "wash your {body+}",
    "the {thing} of the {thing}",
    "this {thing} is {quality}",
    "that was a {quality} {thing}",
    "there is a {thing} in every {thing}",
    "there are {number} {unit+} left",
    "it costs {number} {unit+}",
    "it is {number} {unit+} away",
    "we {went} for {number} {unit+}",
    "the {ordinal} of {month}",
    "{number} and {number} are {number}",
    "who {did} the {tool}",
    "why did {pronoun} {do} the {food}",
    "when will {pronoun} {go}",
    "if {pronoun} {go} now we {modal} {go}",
    "because the {thing} was {quality}",
    "{pronoun} {modal} not {do} {owner} {thing}",
    "{pronoun} {did} {quantity} {food}",
    "{pronoun} {went} {preposition} the {place}",
)
WORD_ROWS = 0.15  # share of the sentences that are words in a row: every word, beside every other
COMMAND_SHARE = 0.4
MOST_WORDS = 5  # in a row
ATTEMPTS = 200
JOINTS = (", ", ", and ", ". ", " and ", " but ", ", then ", "? ", "! ")  # between sentences
ENDS = ("", "", "", "", "", ".", ".", ".", "!", "?")  # of a text, each as likely
_SLOT = re.compile(r"\{(\w+)(\+?)\}")
_ARTICLE = re.compile(r"\ba (?=(?!uni(?!n)|use|euro|one\b)[aeiou]|hour|honest)")


@cache
def vocabulary() -> tuple[str, ...]:
    """Every word that a training sentence may contain but plurals, sorted."""
    literal = _SLOT.sub(" ", " ".join((*COMMANDS, *EVERYDAY)))
    parts = " ".join(word for words in CATEGORIES.values() for word in words)
    return tuple(sorted({*literal.split(), *parts.split(), "an"}))


def sentence(generator: np.random.Generator, most_letters: int = 80) -> str:
    """A random sentence of at most `most_letters` letters and spaces. Raises ValueError for fewer than 12 of them."""
    for _ in range(ATTEMPTS):
        drawn = _draw(generator)
        if len(drawn) <= most_letters and normalised(drawn) not in HELD_OUT:
            return drawn
    raise ValueError(f"most_letters is {most_letters}, allowed: 12 or more")


def text(generator: np.random.Generator, most_letters: int) -> str:
    """A random text of at most `most_letters`: one sentence or several, some with punctuation at the end."""
    aim = generator.uniform(0, most_letters)
    result = sentence(generator, most_letters)
    while len(result) < aim:
        added = sentence(generator)
        joint = JOINTS[generator.integers(len(JOINTS))]
        if len(result) + len(joint) + len(added) > most_letters:
            break
        result += joint + added
    return result + ENDS[generator.integers(len(ENDS))]


def _draw(generator: np.random.Generator) -> str:
    kind = generator.random()
    if kind < WORD_ROWS:
        words = vocabulary()
        return " ".join(words[generator.integers(len(words))] for _ in range(generator.integers(1, MOST_WORDS + 1)))
    templates = COMMANDS if kind < WORD_ROWS + COMMAND_SHARE else EVERYDAY
    template = templates[generator.integers(len(templates))]
    filled = _SLOT.sub(lambda slot: _fill(generator, slot[1], bool(slot[2])), template)
    return _ARTICLE.sub("an ", filled)


def _fill(generator: np.random.Generator, category: str, is_plural: bool) -> str:
    words = CATEGORIES[category]
    word = words[generator.integers(len(words))]
    return plural(word) if is_plural else word
