"""Names of the labels of the data sets whose labels are no numbers themselves."""

CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")

FASHION_MNIST = ("T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")

_CIFAR100 = (
    "apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can castle "
    "caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin elephant flatfish "
    "forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard lobster man maple_tree motorcycle "
    "mountain mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree plain plate poppy porcupine "
    "possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk skyscraper snail snake spider squirrel streetcar "
    "sunflower sweet_pepper table tank telephone television tiger tractor train trout tulip turtle wardrobe whale willow_tree "
    "wolf woman worm"
)

CIFAR100 = tuple(_CIFAR100.split())
"""The fine labels."""

NEAR_CIFAR10 = {
    "bus": "truck",
    "fox": "dog",
    "leopard": "cat",
    "lion": "cat",
    "pickup_truck": "truck",
    "streetcar": "truck",
    "tiger": "cat",
    "wolf": "dog",
}
"""Classes of CIFAR-100 that show what a class of CIFAR-10 shows, or its next of kin: to flag them is hardly to be asked."""
