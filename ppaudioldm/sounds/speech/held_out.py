"""Sentences that no model is trained on, for its judgement: commands, and lists 1 to 4 of the Harvard sentences.

The Harvard sentences are those of the IEEE recommended practice for speech quality measurements, 1969.
"""

from __future__ import annotations

COMMANDS = tuple(
    """\
turn on the kitchen light
turn off the bedroom light
turn up the radio
turn down the music
open the front door
close the back door
lock the garage door
open the window
close the curtains
start the washing machine
stop the engine
play the next song
play some jazz music
stop the music
set a timer for ten minutes
set the alarm for seven
what time is it now
what is the weather today
will it rain tomorrow
call my mother
call the doctor
send a message to john
read my last message
where is the station
how far is the airport
turn left at the corner
turn right after the bridge
go straight ahead
slow down please
stop at the red light
the train leaves at nine
the bus is late again
the dog is in the garden
a cat sat on the mat
my brother lives in london
she has two blue cars
we had fish for dinner
he drinks a cup of coffee
the sun is very bright
it is cold outside
good morning everybody
good night and sleep well
thank you very much
please come back soon
see you on friday
i love this old house
three birds fly over the hill
five green bottles on the wall
happy birthday to you
welcome to the show
""".splitlines()
)
HARVARD = tuple(
    """\
the birch canoe slid on the smooth planks
glue the sheet to the dark blue background
it's easy to tell the depth of a well
these days a chicken leg is a rare dish
rice is often served in round bowls
the juice of lemons makes fine punch
the box was thrown beside the parked truck
the hogs were fed chopped corn and garbage
four hours of steady work faced us
a large size in stockings is hard to sell
the boy was there when the sun rose
a rod is used to catch pink salmon
the source of the huge river is the clear spring
kick the ball straight and follow through
help the woman get back to her feet
a pot of tea helps to pass the evening
smoky fires lack flame and heat
the soft cushion broke the man's fall
the salt breeze came across from the sea
the girl at the booth sold fifty bonds
the small pup gnawed a hole in the sock
the fish twisted and turned on the bent hook
press the pants and sew a button on the vest
the swan dive was far short of perfect
the beauty of the view stunned the young boy
two blue fish swam in the tank
her purse was full of useless trash
the colt reared and threw the tall rider
it snowed, rained, and hailed the same morning
read verse out loud for pleasure
hoist the load to your left shoulder
take the winding path to reach the lake
note closely the size of the gas tank
wipe the grease off his dirty face
mend the coat before you go out
the wrist was badly strained and hung limp
the stray cat gave birth to kittens
the young girl gave no clear response
the meal was cooked before the bell rang
what joy there is in living
""".splitlines()
)


def normalised(sentence: str) -> str:
    """`sentence` without case, punctuation and spaces at its ends, to compare it with another."""
    return " ".join("".join(c for c in sentence.lower() if c.isalpha() or c in " '").split())


HELD_OUT = frozenset(map(normalised, (*COMMANDS, *HARVARD)))
